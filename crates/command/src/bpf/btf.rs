//! Where the kernel's structures have their members: /sys/kernel/btf/vmlinux
//! (Documentation/bpf/btf.rst). Whatever the bytes are, reading them ends, with an error at worst.

/// Why the kernel's BTF cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    #[error("it is too short")]
    TooShort,
    #[error("it is not BTF of this byte order, or of a newer version")]
    UnknownFormat,
    #[error("its last type is cut off")]
    CutOff,
    #[error("it has an unknown kind of type")]
    UnknownKind,
    #[error("struct {structure} has no member {path}")]
    NoMember { structure: &'static str, path: &'static str },
    #[error("there is no {0}")]
    NoEnumerator(&'static str),
}

/// A type: its first three words, and where what follows them begins.
#[derive(Clone, Copy)]
struct Type {
    name: u32,
    info: u32,
    size_or_type: u32,
    rest: usize,
}

/// The kinds that are looked at.
mod kind {
    pub const INT: u32 = 1;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const RESTRICT: u32 = 11;
    pub const FUNC_PROTO: u32 = 13;
    pub const VAR: u32 = 14;
    pub const DATASEC: u32 = 15;
    pub const DECL_TAG: u32 = 17;
    pub const TYPE_TAG: u32 = 18;
    pub const ENUM64: u32 = 19;
    pub const PTR: u32 = 2;
    /// The last one that is known.
    pub const LAST: u32 = ENUM64;
}

/// A structure's members are looked for so deep at most, and a type is followed through so many
/// others.
const DEPTH: usize = 16;
/// So many members are looked at for one name at most; the kernel's largest structures have some
/// hundreds.
const MEMBERS: usize = 100_000;

/// The length of an entry of a structure, and of an enumeration.
const MEMBER: usize = 12;
const ENUMERATOR: usize = 8;

/// All types of the kernel.
pub struct Btf<'a> {
    bytes: &'a [u8],
    strings: &'a [u8],
    /// The first is `void`, which is not written.
    types: Vec<Type>,
}

/// Where a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// In bytes, from the begin of the structure.
    pub offset: usize,
    /// In bytes.
    pub size: usize,
}

impl<'a> Btf<'a> {
    /// Reads the headers of all types.
    pub fn read(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let header = |offset| word(bytes, offset).ok_or(BtfError::TooShort);
        if header(0)? & 0x00ff_ffff != 0x0001_eb9f {
            return Err(BtfError::UnknownFormat);
        }
        let section = |offset: u32, length: u32| {
            let begin = (header(4)? as usize).checked_add(offset as usize);
            let end = begin.and_then(|begin| begin.checked_add(length as usize));
            let range = begin.zip(end).map(|(begin, end)| begin..end);
            range.and_then(|range| bytes.get(range)).ok_or(BtfError::TooShort)
        };
        let strings = section(header(16)?, header(20)?)?;
        let bytes = section(header(8)?, header(12)?)?;
        let mut types = vec![Type { name: 0, info: 0, size_or_type: 0, rest: 0 }];
        let mut at = 0;
        while at < bytes.len() {
            let field = |index: usize| word(bytes, at + 4 * index).ok_or(BtfError::CutOff);
            let rest = at + 12;
            let found = Type { name: field(0)?, info: field(1)?, size_or_type: field(2)?, rest };
            let entries = found.length();
            at = rest
                + match found.kind() {
                    kind::INT | kind::VAR | kind::DECL_TAG => 4,
                    kind::ARRAY => 12,
                    kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => MEMBER * entries,
                    kind::ENUM | kind::FUNC_PROTO => ENUMERATOR * entries,
                    1..=kind::LAST => 0,
                    _ => return Err(BtfError::UnknownKind),
                };
            types.push(found);
        }
        if at > bytes.len() {
            return Err(BtfError::CutOff);
        }
        Ok(Self { bytes, strings, types })
    }

    /// A member of a structure, by its path: `inet_conn.icsk_user_timeout`. The path may leave out
    /// structures and unions without a name, as C does.
    pub fn member(&self, structure: &str, path: &str) -> Option<Member> {
        let mut id = self.structure(structure)?;
        let mut offset = 0;
        for name in path.split('.') {
            let (bits, member) = self.find(id, name, DEPTH, &mut { MEMBERS })?;
            offset += bits;
            id = member;
        }
        let size = self.size(id)?;
        (offset % 8 == 0).then_some(Member { offset: offset / 8, size })
    }

    /// The number of an enumerator.
    pub fn enumerator(&self, name: &str) -> Option<u32> {
        let enumerations = self.types.iter().filter(|it| it.kind() == kind::ENUM);
        let mut entries = enumerations
            .flat_map(|it| (0..it.length()).map(move |index| it.rest + ENUMERATOR * index));
        let entry = entries.find(|entry| self.is_named(word(self.bytes, *entry), name))?;
        word(self.bytes, entry + 4)
    }

    /// The structure of this name.
    fn structure(&self, name: &str) -> Option<u32> {
        let is_it = |it: &Type| it.kind() == kind::STRUCT && self.is_named(Some(it.name), name);
        u32::try_from(self.types.iter().position(is_it)?).ok()
    }

    /// A member of a structure or union, or of one without a name in it: its offset in bits and its
    /// type. Bit fields are left out. It looks so deep and at so many members at most.
    fn find(&self, id: u32, name: &str, depth: usize, left: &mut usize) -> Option<(usize, u32)> {
        let structure = self.plain(id)?;
        if !matches!(structure.kind(), kind::STRUCT | kind::UNION) {
            return None;
        }
        let depth = depth.checked_sub(1)?;
        for entry in (0..structure.length()).map(|index| structure.rest + MEMBER * index) {
            *left = left.checked_sub(1)?;
            let [named, member, at] =
                [0, 4, 8].map(|offset| word(self.bytes, entry + offset).unwrap_or(u32::MAX));
            let is_bit_field = structure.has_flag() && at >> 24 != 0;
            let at = if structure.has_flag() { at & 0x00ff_ffff } else { at } as usize;
            if self.is_named(Some(named), name) && !is_bit_field {
                return Some((at, member));
            }
            if named == 0
                && let Some((more, found)) = self.find(member, name, depth, left)
            {
                return Some((at + more, found));
            }
        }
        None
    }

    /// The size of a value of this type, in bytes.
    fn size(&self, id: u32) -> Option<usize> {
        let found = self.plain(id)?;
        match found.kind() {
            kind::INT | kind::ENUM => Some(found.size_or_type as usize),
            kind::PTR => Some(size_of::<usize>()),
            _ => None,
        }
    }

    /// The type without its other names and its qualifiers.
    fn plain(&self, mut id: u32) -> Option<Type> {
        for _ in 0..DEPTH {
            let found = *self.types.get(id as usize)?;
            match found.kind() {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = found.size_or_type
                }
                _ => return Some(found),
            }
        }
        None
    }

    fn is_named(&self, offset: Option<u32>, name: &str) -> bool {
        let text = offset.and_then(|offset| self.strings.get(offset as usize..));
        text.and_then(|text| text.strip_prefix(name.as_bytes()))
            .is_some_and(|rest| rest.first() == Some(&0))
    }
}

impl Type {
    fn kind(&self) -> u32 {
        self.info >> 24 & 0x1f
    }

    /// How many entries follow.
    fn length(&self) -> usize {
        (self.info & 0xffff) as usize
    }

    fn has_flag(&self) -> bool {
        self.info >> 31 != 0
    }
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    let word = bytes.get(offset..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*word))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    /// `typedef int s32; struct a { struct { s32 x; union { long y; }; }; int bits : 3; const void
    /// *p; struct b in; }; struct b { char c, d; }; enum { RED = 5 };` Offsets are the caller's.
    fn sample() -> Vec<u8> {
        let strings = b"\0a\0b\0x\0y\0p\0in\0d\0RED\0s32\0bits\0";
        let name = |name: &str| {
            let wanted = [b"\0", name.as_bytes(), b"\0"].concat();
            strings.windows(wanted.len()).position(|part| part == wanted).expect(name) as u32 + 1
        };
        let info = |kind: u32, length: u32| kind << 24 | length;
        let flagged = |kind: u32, length: u32| 1 << 31 | info(kind, length);
        let words = [
            // 1: int, 2: s32, 3: long
            vec![0, info(kind::INT, 0), 4, 32],
            vec![name("s32"), info(kind::TYPEDEF, 0), 1],
            vec![0, info(kind::INT, 0), 8, 64],
            // 4: the union, 5: the structure around it
            vec![0, info(kind::UNION, 1), 8, name("y"), 3, 0],
            vec![0, info(kind::STRUCT, 2), 16, name("x"), 2, 0, 0, 4, 64],
            // 6: a pointer to void
            vec![0, info(kind::PTR, 0), 0],
            // 7: b, 8: a
            vec![name("b"), info(kind::STRUCT, 1), 2, name("d"), 9, 8],
            vec![name("a"), flagged(kind::STRUCT, 4), 48, 0, 5, 64],
            vec![name("bits"), 1, 3 << 24 | 192, name("p"), 6, 256, name("in"), 7, 320],
            // 9: char, 10: the enumeration
            vec![0, info(kind::INT, 0), 1, 8],
            vec![0, info(kind::ENUM, 1), 4, name("RED"), 5],
        ]
        .concat();
        let types: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let length = types.len() as u32;
        let header = [0x0001_eb9f, 24, 0, length, length, strings.len() as u32];
        let header: Vec<u8> = header.iter().flat_map(|word: &u32| word.to_ne_bytes()).collect();
        [&header[..], &types, strings].concat()
    }

    const PATHS: [&str; 5] = ["x", "y", "p", "in.d", "bits"];

    #[test]
    fn members_are_found_by_their_path() {
        let sample = sample();
        let btf = Btf::read(&sample).expect("BTF");
        let found = PATHS.map(|path| btf.member("a", path).map(|it| (it.offset, it.size)));
        let expected =
            [Some((8, 4)), Some((16, 8)), Some((32, size_of::<usize>())), Some((41, 1)), None];
        assert_eq!(found, expected);
        assert_eq!(btf.enumerator("RED"), Some(5));
        for nothing in ["in", "z", "", "in.", "x.x", "i"] {
            assert_eq!(btf.member("a", nothing), None, "{nothing}");
        }
        assert_eq!((btf.member("z", "x"), btf.enumerator("RE")), (None, None));
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let sample = sample();
        for length in 0..sample.len() {
            assert!(Btf::read(&sample[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_type_that_leads_to_itself_ends() {
        let circle = [0_u32, kind::TYPEDEF << 24, 1, 1, kind::STRUCT << 24 | 1, 0, 0, 2, 0];
        let bytes: Vec<u8> = [0x0001_eb9f, 24, 0, 36, 36, 3]
            .iter()
            .chain(&circle)
            .flat_map(|word: &u32| word.to_ne_bytes())
            .chain(*b"\0a\0")
            .collect();
        let btf = Btf::read(&bytes).expect("BTF");
        assert_eq!(btf.member("a", "b"), None);
        assert!(btf.size(1).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_bytes_are_too_strange(
            changes in vec((any::<Index>(), any::<u8>()), 0..8),
            cut in proptest::option::of(any::<Index>()),
        ) {
            let mut bytes = sample();
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            if let Ok(btf) = Btf::read(&bytes) {
                for path in PATHS {
                    btf.member("a", path);
                }
                btf.enumerator("RED");
            }
        }
    }
}
