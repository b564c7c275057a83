//! The environment that scripts see (protocol section 5.4).

/// openvpn's own set of variables. Scripts see these and nothing of the environment of this program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    variables: Vec<(String, String)>,
}

impl Environment {
    /// An empty set.
    pub const fn new() -> Self {
        Self { variables: Vec::new() }
    }

    /// Sets a variable, replacing its old value. A peer may have a say in the value: control characters in it become
    /// `_`, and so does whatever is not a letter, digit or `_` in the name.
    pub fn set(&mut self, name: &str, value: impl ToString) {
        let name = name.chars().map(|c| if is_name(c) { c } else { '_' }).collect();
        let value = value.to_string().chars().map(|c| if c.is_control() { '_' } else { c }).collect();
        self.insert(name, value);
    }

    /// The option `setenv name value`. As openvpn does, characters that are not allowed are left out.
    pub fn setenv(&mut self, name: &str, value: &str) {
        self.insert(
            name.chars().filter(|c| is_name(*c)).collect(),
            value.chars().filter(|c| !c.is_control()).collect(),
        );
    }

    /// The option `setenv-safe name value`: the name gets the prefix `OPENVPN_`, so that a server which pushes it
    /// cannot set a variable that means something to a program.
    pub fn setenv_safe(&mut self, name: &str, value: &str) {
        self.setenv(&format!("OPENVPN_{name}"), value);
    }

    /// Removes a variable.
    pub fn unset(&mut self, name: &str) {
        self.variables.retain(|(known, _)| known != name);
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All variables, in the order in which they were first set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn insert(&mut self, name: String, value: String) {
        match self.variables.iter_mut().find(|(known, _)| *known == name) {
            _ if name.is_empty() => {}
            Some((_, old)) => *old = value,
            None => self.variables.push((name, value)),
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_names_are_cleaned() {
        let mut env = Environment::new();
        env.set("tls-id.0", "CN=a\nb\0");
        env.set("dev", "tun0");
        env.setenv("A-b.c", "b\u{1}a\tr \u{e9}~");
        env.setenv_safe("q-r", "z");
        env.setenv("--", "nameless");
        env.set("dev", "tun1");
        let all: Vec<_> = env.iter().collect();
        assert_eq!(all, [("tls_id_0", "CN=a_b_"), ("dev", "tun1"), ("Abc", "bar \u{e9}~"), ("OPENVPN_qr", "z")]);
        env.unset("dev");
        assert_eq!(env.get("dev"), None);
        assert_eq!(env.get("Abc"), Some("bar \u{e9}~"));
    }
}
