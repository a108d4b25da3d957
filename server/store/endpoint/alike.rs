//! What endpoints have alike: equal styles and policies are read once and shared, for of a hundred thousand endpoints most have
//! one of a few.

use std::{collections::HashMap, sync::Arc};

use crate::{
    model::{Backlog, DeliveryPolicy, Style},
    store::policy::read_policy,
};

/// Texts of a kind that reading many endpoints remembers at most; those beyond them are read anew each time.
const ALIKE_MAX: usize = 1_024;

/// What many endpoints have alike, by its text: reading many of them reads each text once, and keeps it once.
#[derive(Debug, Default)]
pub(crate) struct Alike {
    styles: HashMap<String, Style>,
    policies: HashMap<String, Arc<DeliveryPolicy>>,
    no_backlog: Arc<Backlog>,
}

impl Alike {
    /// Reads the text of a style; `None` if it is none.
    pub(super) fn style(&mut self, text: &str) -> Option<Style> {
        read_once(&mut self.styles, text, |text| Style::new(serde_json::from_str(text).ok()?).ok())
    }

    /// Reads the text of a policy; `None` if it is none.
    pub(super) fn policy(&mut self, text: &str) -> Option<Arc<DeliveryPolicy>> {
        read_once(&mut self.policies, text, |text| read_policy(text).map(Arc::new))
    }

    /// Shares what becomes of a backlog where there is nothing to tell of it.
    pub(super) fn backlog(&self, backlog: Backlog) -> Arc<Backlog> {
        if backlog == *self.no_backlog { self.no_backlog.clone() } else { backlog.into() }
    }
}

fn read_once<T: Clone>(known: &mut HashMap<String, T>, text: &str, read: fn(&str) -> Option<T>) -> Option<T> {
    if let Some(value) = known.get(text) {
        return Some(value.clone());
    }
    let value = read(text)?;
    if known.len() < ALIKE_MAX {
        known.insert(text.to_owned(), value.clone());
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_texts_are_remembered_than_the_limit() {
        let mut known = HashMap::new();
        for number in 0..2 * ALIKE_MAX {
            assert_eq!(read_once(&mut known, &number.to_string(), |text| text.parse::<usize>().ok()), Some(number));
        }
        assert_eq!(known.len(), ALIKE_MAX);
        assert_eq!(read_once(&mut known, "0", |_| None), Some(0), "it is not read again");
        assert_eq!(read_once(&mut known, "none", |_| None), None);
    }
}
