//! One run's figures, by name; a name ends in its unit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What one run of a scenario showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// Adds a figure. One that is no number is left out: JSON has none, and a table shows that it is missing.
    pub(crate) fn note(&mut self, name: impl Into<String>, value: f64) {
        if value.is_finite() {
            // A hundred-thousandth is finer than anything here is measured.
            self.0.insert(name.into(), (value * 1e5).round() / 1e5);
        }
    }

    /// A figure.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }
}

impl<const N: usize> From<[(&str, f64); N]> for Figures {
    fn from(figures: [(&str, f64); N]) -> Self {
        let mut all = Self::default();
        figures.into_iter().for_each(|(name, value)| all.note(name, value));
        all
    }
}

/// The middle of some values, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(upper, values[values.len() / 2 - 1]) })
}
