//! Signatures as text.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::scheme::Encoding;

impl Encoding {
    /// How long `bytes` bytes are as text.
    pub(super) fn text_len(self, bytes: usize) -> usize {
        match self {
            Self::Base64 => bytes.div_ceil(3) * 4,
            Self::Hex => bytes * 2,
        }
    }

    pub(super) fn push(self, text: &mut String, bytes: &[u8]) {
        match self {
            Self::Base64 => STANDARD.encode_string(bytes, text),
            Self::Hex => push_hex(text, bytes),
        }
    }

    /// Reads what [`Encoding::push`] wrote. Hexadecimal digits may be of either case; base64 has exactly one form. `None`
    /// for whatever else. Takes a time that depends on the text, which is no secret.
    pub(super) fn read<const N: usize>(self, text: &str) -> Option<[u8; N]> {
        if text.len() != self.text_len(N) {
            return None;
        }
        match self {
            Self::Base64 => STANDARD.decode(text).ok()?.try_into().ok(),
            Self::Hex => read_hex(text.as_bytes()),
        }
    }
}

pub(super) fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

fn read_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = hex_digit(digits[0])? << 4 | hex_digit(digits[1])?;
    }
    Some(bytes)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: [u8; 32]) {
            for encoding in [Encoding::Base64, Encoding::Hex] {
                let mut text = String::new();
                encoding.push(&mut text, &bytes);
                prop_assert_eq!(text.len(), encoding.text_len(32));
                prop_assert!(text.chars().all(|c| encoding.may_contain(c)));
                prop_assert_eq!(encoding.read(&text), Some(bytes));
                prop_assert_eq!(encoding.read::<31>(&text), None);
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,8}|[0-9a-zA-Z+/=]{4,8}") {
            for encoding in [Encoding::Base64, Encoding::Hex] {
                if let Some(bytes) = encoding.read::<4>(&text) {
                    let mut again = String::new();
                    encoding.push(&mut again, &bytes);
                    prop_assert!(again == text || (encoding == Encoding::Hex && again == text.to_ascii_lowercase()));
                }
            }
        }
    }

    #[test]
    fn hexadecimal_digits_are_of_either_case() {
        assert_eq!(Encoding::Hex.read("00aFFf"), Some([0, 0xaf, 0xff]));
        assert_eq!(Encoding::Hex.read::<2>("0g00"), None);
        assert_eq!(Encoding::Hex.read::<2>("ää"), None);
    }

    #[test]
    fn base64_has_one_form() {
        assert_eq!(Encoding::Base64.read("AAA="), Some([0, 0]));
        for other in ["AAB=", "AAA", "AA==", "AA_=", "AAA "] {
            assert_eq!(Encoding::Base64.read::<2>(other), None, "{other}");
        }
    }
}
