//! The names of this machine's users, for the audit trail. A right never rests on them.

/// The name of the user `uid` as `/etc/passwd` (given as its text) has it.
///
/// Users that only a directory service knows have no name here, which costs a word in the audit
/// trail and nothing else. Control characters can't get in: such a line is passed over.
pub fn user_name(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let found: u32 = fields.nth(1)?.parse().ok()?;
        (found == uid && !name.is_empty() && !name.chars().any(char::is_control)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_id() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\nbroken\n:x:7:7::/:\nanna:x:1000:1000::/home/anna:/bin/sh\n";
        assert_eq!(user_name(passwd, 1000).as_deref(), Some("anna"));
        assert_eq!(user_name(passwd, 0).as_deref(), Some("root"));
        assert_eq!(user_name(passwd, 7), None);
        assert_eq!(user_name(passwd, 8), None);
    }
}
