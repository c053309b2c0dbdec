//! What a variable of the environment says.

/// The value without the blanks around it (space, tab, carriage return, line feed). None if
/// nothing is left: compose files write `${NAME:-}`, so that an empty variable counts as unset.
pub fn given(mut text: &[u8]) -> Option<&[u8]> {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..]
    | [rest @ .., b' ' | b'\t' | b'\r' | b'\n'] = text
    {
        text = rest;
    }
    (!text.is_empty()).then_some(text)
}
