//! What there is, as rows for `firedrill list`.

use crate::metrics::Metrics;

/// The keys of [`Metrics`], in order.
pub fn metric_names() -> Vec<String> {
    match serde_json::to_value(Metrics::default()) {
        Ok(serde_json::Value::Object(fields)) => fields.keys().cloned().collect(),
        _ => Vec::new(),
    }
}
