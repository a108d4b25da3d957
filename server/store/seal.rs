//! seal
#[derive(Clone, Debug)]
pub struct Keyring;
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub table: &'a str,
    pub tenant: i64,
    pub row: i64,
    pub column: &'a str,
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct SealError;
impl Keyring {
    pub fn load(_: &std::path::Path) -> Result<Self, SealError> {
        todo!()
    }
    pub fn create(_: &std::path::Path) -> Result<Self, SealError> {
        todo!()
    }
    pub fn seal(&self, _: Place<'_>, _: &[u8]) -> Vec<u8> {
        todo!()
    }
    pub fn open(&self, _: Place<'_>, _: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, SealError> {
        todo!()
    }
}
