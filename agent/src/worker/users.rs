//! Users that steps run as, one for each slot, so that no step can read the worker's files or another slot's, or signal
//! either.
//!
//! Only root can start a process as somebody else and be sure that nothing of its own rights goes along (groups,
//! capabilities), so a worker with step users is root's.

/// A user that steps run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepUser {
    /// Its number; never root's.
    pub uid: u32,
    /// Its group's.
    pub gid: u32,
    /// Its name, where it has one, else its number.
    pub name: String,
}

/// Why there are no step users.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UserError {
    /// No user, and no range.
    #[error("expected a user's name or number, or a range of numbers such as 10001-10004")]
    Syntax,
    /// /etc/passwd has no such name.
    #[error("there is no user {0} in /etc/passwd")]
    Unknown(String),
    /// Steps of root could do anything.
    #[error("steps must not run as root")]
    Root,
    /// A range that is too short.
    #[error("there are {slots} slots and {users} users: each slot needs one of its own")]
    TooFew {
        /// Slots.
        slots: usize,
        /// Users.
        users: usize,
    },
    /// The worker is not root.
    #[error("only root can run steps as other users")]
    NotRoot,
}

/// The users of this many slots; `passwd` is the text of /etc/passwd.
///
/// # Errors
/// [`UserError`].
pub fn parse(text: &str, slots: usize, passwd: &str) -> Result<Vec<StepUser>, UserError> {
    let number = |text: &str| text.parse::<u32>().ok();
    let numbers: Vec<u32> = match text.split_once('-').map(|(first, last)| (number(first), number(last))) {
        Some((Some(first), Some(last))) if first <= last && last - first < 10_000 => (first..=last).collect(),
        Some((Some(_), Some(_))) => return Err(UserError::Syntax),
        _ if text.is_empty() => return Err(UserError::Syntax),
        _ => match number(text) {
            Some(uid) => vec![uid],
            None => vec![named(text, passwd).ok_or_else(|| UserError::Unknown(text.to_owned()))?],
        },
    };
    if numbers.contains(&0) || numbers.contains(&u32::MAX) {
        return Err(UserError::Root);
    }
    if numbers.len() < slots {
        return Err(UserError::TooFew { slots, users: numbers.len() });
    }
    Ok(numbers.into_iter().take(slots).map(|uid| user(uid, passwd)).collect())
}

fn entries(passwd: &str) -> impl Iterator<Item = (&str, u32, u32)> {
    passwd.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        Some((*fields.first()?, fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    })
}

fn named(name: &str, passwd: &str) -> Option<u32> {
    entries(passwd).find(|(known, ..)| *known == name).map(|(_, uid, _)| uid)
}

fn user(uid: u32, passwd: &str) -> StepUser {
    let known = entries(passwd).find(|(_, known, _)| *known == uid);
    // A number without a name gets the group of the same number, which is nobody else's.
    known.map_or_else(
        || StepUser { uid, gid: uid, name: uid.to_string() },
        |(name, _, gid)| StepUser { uid, gid, name: name.to_owned() },
    )
}

#[cfg(test)]
mod tests {
    use super::{StepUser, UserError, parse};

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/bash\nsteps:x:998:997::/nonexistent:/usr/sbin/nologin\nbad\n";

    fn user(uid: u32, gid: u32, name: &str) -> StepUser {
        StepUser { uid, gid, name: name.into() }
    }

    #[test]
    fn a_name_a_number_and_a_range_give_each_slot_a_user() {
        assert_eq!(parse("steps", 1, PASSWD), Ok(vec![user(998, 997, "steps")]));
        assert_eq!(parse("998", 1, PASSWD), Ok(vec![user(998, 997, "steps")]));
        assert_eq!(parse("10001", 1, PASSWD), Ok(vec![user(10001, 10001, "10001")]));
        let two = vec![user(10001, 10001, "10001"), user(10002, 10002, "10002")];
        assert_eq!(parse("10001-10004", 2, PASSWD), Ok(two));
    }

    #[test]
    fn root_strangers_and_ranges_that_are_too_short_are_refused() {
        for (text, slots, error) in [
            ("root", 1, UserError::Root),
            ("0", 1, UserError::Root),
            ("0-4", 2, UserError::Root),
            ("nobody-here", 1, UserError::Unknown("nobody-here".into())),
            ("", 1, UserError::Syntax),
            ("4-2", 1, UserError::Syntax),
            ("1-4294967295", 1, UserError::Syntax),
            ("steps", 2, UserError::TooFew { slots: 2, users: 1 }),
            ("10001-10002", 3, UserError::TooFew { slots: 3, users: 2 }),
        ] {
            assert_eq!(parse(text, slots, PASSWD), Err(error), "{text}");
        }
    }
}
