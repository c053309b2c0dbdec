//! Descendants, by the numbers of their parents.

use std::collections::HashSet;
use std::hash::Hash;

/// Those of `all`, given with their parents, that are among the roots or descend from one of them.
pub fn descendants<T: Copy + Eq + Hash>(
    roots: impl Iterator<Item = T>,
    all: &[(T, T)],
) -> HashSet<T> {
    let mut family: HashSet<T> = roots.collect();
    // Numbers wrap, so a child's can be below its parent's: until nothing comes any more.
    loop {
        let before = family.len();
        for (process, parent) in all {
            if family.contains(parent) {
                family.insert(*process);
            }
        }
        if family.len() == before {
            return family;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_and_theirs_in_any_order_and_nobody_else() {
        let all = [(20, 30), (30, 40), (40, 1), (50, 40), (60, 1), (61, 60), (7, 20)];
        let family = |root| {
            let mut family: Vec<_> = descendants([root].into_iter(), &all).into_iter().collect();
            family.sort_unstable();
            family
        };
        assert_eq!(family(40), [7, 20, 30, 40, 50]);
        assert_eq!(family(60), [60, 61]);
        assert_eq!(family(61), [61]);
        assert_eq!(family(1).len(), 8);
    }
}
