//! Replies as they come off the wire, every type told apart, and their text form.

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A line with its first byte: `+OK`, `:1`, `_`, `$-1`, `,1.5`, `#t`, `(123`.
    Line(String),
    /// A string: `$`, or `=` for a verbatim one.
    Bulk(char, Vec<u8>),
    /// Elements: `*`, `~`, `>`, or `%` and `|` with twice as many as the header says.
    Many(char, Vec<Value>),
}

impl Value {
    /// Takes the first reply off the bytes; `None` if it is not complete.
    ///
    /// # Panics
    /// The bytes are not RESP.
    pub(crate) fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let mut rest = &bytes[..];
        let value = read(&mut rest)?;
        let used = bytes.len() - rest.len();
        bytes.drain(..used);
        Some(value)
    }

    /// One line per value, what is inside an aggregate indented; text with line breaks as one line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.render(0, &mut lines);
        lines
    }

    /// The same without what is inside strings, numbers and errors; of strings the `lengths` may stay.
    pub(crate) fn shape(&self, lengths: bool) -> Self {
        match self {
            Self::Line(text) if text.starts_with('-') => {
                Self::Line(text.split(' ').next().unwrap_or_default().to_owned())
            }
            Self::Line(text) if text.starts_with([':', ',', '(']) => Self::Line(text[..1].to_owned()),
            Self::Line(text) => Self::Line(text.clone()),
            Self::Bulk(kind, text) if lengths => Self::Bulk(*kind, format!("{} bytes", text.len()).into_bytes()),
            Self::Bulk(kind, _) => Self::Bulk(*kind, b"...".to_vec()),
            Self::Many(kind, items) => Self::Many(*kind, items.iter().map(|item| item.shape(lengths)).collect()),
        }
    }

    /// The same with the elements of every array and set in order, and the words of every line. Those of a map are pairs.
    pub(crate) fn sorted(&self) -> Self {
        let (kind, items) = match self {
            Self::Many(kind, items) => (kind, items),
            Self::Bulk(kind, bytes) if !bytes.contains(&b'\n') => {
                let mut words: Vec<&[u8]> = bytes.split(|byte| *byte == b' ').collect();
                words.sort_unstable();
                return Self::Bulk(*kind, words.join(&b' '));
            }
            other => return other.clone(),
        };
        let items: Vec<Self> = items.iter().map(Self::sorted).collect();
        let width = if matches!(kind, '%' | '|') { 2 } else { 1 };
        let mut groups: Vec<&[Self]> = items.chunks(width).collect();
        groups.sort_by_key(|group| group.iter().flat_map(Self::lines).collect::<Vec<_>>());
        Self::Many(*kind, groups.concat())
    }

    fn render(&self, depth: usize, lines: &mut Vec<String>) {
        let indent = "  ".repeat(depth);
        match self {
            Self::Line(text) => lines.push(format!("{indent}{text}")),
            Self::Bulk(kind, bytes) => {
                let text = String::from_utf8_lossy(bytes);
                if !text.contains('\n') {
                    lines.push(format!("{indent}{kind}{}", text.escape_debug()));
                    return;
                }
                lines.push(format!("{indent}{kind}..."));
                for line in text.split_inclusive('\n') {
                    lines.push(format!("{indent}  | {}", line.escape_debug()));
                }
            }
            Self::Many(kind, items) => {
                let len = if matches!(kind, '%' | '|') { items.len() / 2 } else { items.len() };
                lines.push(format!("{indent}{kind}{len}"));
                for item in items {
                    item.render(depth + 1, lines);
                }
            }
        }
    }
}

fn read(rest: &mut &[u8]) -> Option<Value> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    // Bytes that are no text must not be taken for each other.
    let line = String::from_utf8(rest[..end].to_vec()).unwrap_or_else(|_| rest[..end].escape_ascii().to_string());
    *rest = &rest[end + 2..];
    let kind = line.chars().next().unwrap_or_else(|| panic!("an empty line is no reply"));
    let len = || line[1..].parse::<i64>().unwrap_or_else(|_| panic!("a length: {line}"));
    match kind {
        '+' | '-' | ':' | '_' | ',' | '#' | '(' => Some(Value::Line(line)),
        '$' | '=' if len() < 0 => Some(Value::Line(line)),
        '$' | '=' => {
            let len = usize::try_from(len()).expect("not negative");
            let bytes = rest.get(..len)?.to_vec();
            *rest = rest.get(len + 2..)?;
            Some(Value::Bulk(kind, bytes))
        }
        '*' | '~' | '>' | '%' | '|' if len() < 0 => Some(Value::Line(line)),
        '*' | '~' | '>' | '%' | '|' => {
            let each = if matches!(kind, '%' | '|') { 2 } else { 1 };
            let items: Option<Vec<Value>> = (0..len() * each).map(|_| read(rest)).collect();
            Some(Value::Many(kind, items?))
        }
        _ => panic!("no reply begins so: {line}"),
    }
}

#[test]
fn every_kind_is_told_apart() {
    let mut bytes = b"*3\r\n$1\r\na\r\n%1\r\n+k\r\n_\r\n$-1\r\n=5\r\ntxt:x\r\n*1\r\n:1".to_vec();
    let value = Value::take(&mut bytes).unwrap();
    assert_eq!(value.lines(), ["*3", "  $a", "  %1", "    +k", "    _", "  $-1"]);
    assert_eq!(Value::take(&mut bytes).unwrap().lines(), ["=txt:x"]);
    assert_eq!(Value::take(&mut bytes), None);
}
