//! The little JSON that leaves the core: flat objects of cold results. A crate for it would cost more than all of this.

use std::fmt::Write as _;

/// An object under construction, members in the order they are added.
#[derive(Debug)]
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Self {
        Self("{".to_owned())
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        quote(&mut self.0, value);
        self
    }

    /// A whole number: everything that crosses is one.
    pub(crate) fn number(&mut self, name: &str, value: f64) -> &mut Self {
        self.name(name);
        // As an integer: the code that formats floats is larger than this crate.
        write!(self.0, "{}", value as u64).expect("writing to a string");
        self
    }

    pub(crate) fn flag(&mut self, name: &str, value: bool) -> &mut Self {
        self.name(name);
        self.0.push_str(if value { "true" } else { "false" });
        self
    }

    /// Counts by name.
    pub(crate) fn numbers(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = (&'static str, f64)>,
    ) -> &mut Self {
        self.name(name);
        let mut inner = Self::new();
        for (name, value) in values {
            inner.number(name, value);
        }
        self.0.push_str(&inner.end());
        self
    }

    pub(crate) fn texts<S: AsRef<str>>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = S>,
    ) -> &mut Self {
        self.name(name);
        self.0.push('[');
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            quote(&mut self.0, value.as_ref());
        }
        self.0.push(']');
        self
    }

    /// The whole object; nothing may be added after.
    pub(crate) fn end(&mut self) -> String {
        self.0.push('}');
        std::mem::take(&mut self.0)
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        quote(&mut self.0, name);
        self.0.push(':');
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            control if control < ' ' => {
                write!(out, "\\u{:04x}", control as u32).expect("writing to a string");
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_text_is_escaped() {
        let text = Object::new()
            .text("a", "say \"hi\"\\\n\u{1}é")
            .number("b", 9_007_199_254_740_991.0)
            .flag("c", false)
            .texts("d", ["1", "2"])
            .end();
        assert_eq!(
            text,
            r#"{"a":"say \"hi\"\\\n\u0001é","b":9007199254740991,"c":false,"d":["1","2"]}"#
        );
        assert_eq!(Object::new().texts("x", [""; 0]).end(), r#"{"x":[]}"#);
    }
}
