//! Users' names.

/// A user's name, from passwd(5). Not by getpwuid(3): the packages link this command statically,
/// and that function would load name service modules of the system's C library.
pub fn user_name(uid: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.into())
    })
}
