//! Completion for bash, zsh and fish: what each verb takes comes from the definitions, how it is
//! looked up is in the scripts beside this file.
//!
//! clap_complete's own scripts cannot ask what runs. Its dynamic engine could, but it is marked
//! unstable, has every start of the command look for a variable named COMPLETE (which
//! `keepalive run` must pass on untouched), and offers nothing of the shell's own after PROGRAM.

use std::path::Path;

use clap::builder::ValueRange;
use clap::{Arg, ArgAction, Command};

/// The scripts, with a line in place of which the generated part goes.
const SCRIPTS: [(&str, &str, Definitions); 3] = [
    ("keepalive.bash", include_str!("keepalive.bash"), bash),
    ("_keepalive", include_str!("keepalive.zsh"), zsh),
    ("keepalive.fish", include_str!("keepalive.fish"), fish),
];
type Definitions = fn(&[Verb]) -> String;
const PLACE: &str = "# DEFINITIONS\n";

/// Writes them into a directory.
pub fn generate(command: &Command, directory: &Path) -> std::io::Result<()> {
    let mut command = command.clone();
    command.build();
    let verbs: Vec<_> = command.get_subcommands().map(Verb::of).collect();
    for (name, script, definitions) in SCRIPTS {
        let (before, after) = script.split_once(PLACE).expect("a place for them");
        std::fs::write(directory.join(name), format!("{before}{}{after}", definitions(&verbs)))?;
    }
    Ok(())
}

/// A verb, and what it takes.
struct Verb {
    name: String,
    help: String,
    options: Vec<Taken>,
    /// What is not an option.
    operand: Option<Kind>,
}

/// An option.
struct Taken {
    long: String,
    short: Option<char>,
    help: String,
    /// Whether it may be repeated.
    is_repeated: bool,
    value: Option<Value>,
}

/// The value of an option.
struct Value {
    /// What it is called in the help.
    name: String,
    kind: Kind,
    /// Whether it can be left out, so that it must be in the same word.
    is_optional: bool,
}

/// What can be offered for a value.
enum Kind {
    /// One of these words.
    Words(Vec<String>),
    File,
    /// Processes, units and containers.
    Target,
    /// Units and containers.
    Group,
    /// A program and its arguments.
    Program,
    /// One of the verbs.
    Verb,
    Nothing,
}

impl Verb {
    fn of(command: &Command) -> Self {
        let visible = || command.get_arguments().filter(|argument| !argument.is_hide_set());
        let options = visible().filter_map(Taken::of).collect();
        let operand = visible().find(|argument| argument.is_positional());
        let name = command.get_name().to_owned();
        let operand = match operand {
            _ if name == "help" => Some(Kind::Verb),
            operand => operand.map(|operand| Kind::of(&name, operand)),
        };
        let help = command.get_about().map(ToString::to_string).unwrap_or_default();
        Self { name, help, options, operand }
    }

    /// The options whose value may be the next word, as they are written.
    fn options_with_value(&self) -> Vec<String> {
        let takes_next = |option: &&Taken| option.value.as_ref().is_some_and(|it| !it.is_optional);
        self.options.iter().filter(takes_next).flat_map(Taken::written).collect()
    }
}

impl Taken {
    fn of(argument: &Arg) -> Option<Self> {
        let range = argument.get_num_args().unwrap_or(ValueRange::EMPTY);
        let long = argument.get_long()?.to_owned();
        let value = range.takes_values().then(|| Value {
            name: value_name(argument),
            kind: Kind::of(&long, argument),
            is_optional: range.min_values() == 0,
        });
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        Some(Self {
            short: argument.get_short(),
            help,
            is_repeated: matches!(argument.get_action(), ArgAction::Append),
            value,
            long,
        })
    }

    /// `--port`, and `-p` where there is one.
    fn written(&self) -> Vec<String> {
        let short = self.short.map(|letter| format!("-{letter}"));
        std::iter::once(format!("--{}", self.long)).chain(short).collect()
    }
}

impl Kind {
    /// What the argument of this name takes: of a verb, or the value of an option.
    fn of(name: &str, argument: &Arg) -> Self {
        let words: Vec<_> = argument.get_possible_values();
        if !words.is_empty() {
            return Self::Words(words.iter().map(|word| word.get_name().to_owned()).collect());
        }
        match value_name(argument).as_str() {
            "TIME" => Self::Words(times(name).split(' ').map(str::to_owned).collect()),
            "PATH" => Self::File,
            "TARGET" if name == "cover" => Self::Group,
            "TARGET" => Self::Target,
            "PROGRAM" => Self::Program,
            _ => Self::Nothing,
        }
    }
}

fn value_name(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    names.first().map(ToString::to_string).unwrap_or_default()
}

/// Times that make sense for an option.
fn times(option: &str) -> &'static str {
    match option {
        "dead-after" => "30s 1m 2m 5m 15m",
        "idle" => "30s 60s 2m 3m",
        "interval" => "5s 10s 30s 60s",
        "rto-max" => "1s 2s 5s 10s 30s",
        "watch" => "1s 2s 5s 10s",
        "path-timeout" => "200s 240s 350s 10m 30m",
        "max" => "10m 30m 1h 2h",
        _ => "30s 1m 2m 5m",
    }
}

/// What can be offered, by the name by which the scripts know it.
fn source(kind: &Kind) -> String {
    match kind {
        Kind::Words(words) => format!("words {}", words.join(" ")),
        Kind::File => "files".into(),
        Kind::Target => "targets".into(),
        Kind::Group => "groups".into(),
        Kind::Program => "program".into(),
        Kind::Verb => "verbs".into(),
        Kind::Nothing => "nothing".into(),
    }
}

/// Cases: the verbs; the options of each; which of them take the next word; what each takes.
fn bash(verbs: &[Verb]) -> String {
    let names: Vec<_> = verbs.iter().map(|verb| verb.name.as_str()).collect();
    let mut text = format!("_keepalive_verbs() {{\n    echo '{}'\n}}\n", names.join(" "));
    text += "\n_keepalive_options() { # VERB\n    case $1 in\n";
    for verb in verbs {
        let options: Vec<_> = verb.options.iter().flat_map(Taken::written).collect();
        text += &format!("    {}) echo '{}' ;;\n", verb.name, options.join(" "));
    }
    // Of the command itself.
    text += "    *) echo '-h --help -V --version' ;;\n    esac\n}\n";
    text += "\n_keepalive_takes_next() { # VERB OPTION: whether its value may be the next word\n    \
             case $1,$2 in\n";
    for verb in verbs {
        for option in verb.options_with_value() {
            text += &format!("    {},{option}) return 0 ;;\n", verb.name);
        }
    }
    text += "    esac\n    return 1\n}\n";
    text += "\n_keepalive_source() { # VERB [OPTION]: what is offered for its value, or for an \
             operand\n    case $1,$2 in\n";
    for verb in verbs {
        for option in &verb.options {
            let Some(value) = &option.value else { continue };
            let patterns: Vec<_> =
                option.written().iter().map(|written| format!("{},{written}", verb.name)).collect();
            text += &format!("    {}) echo '{}' ;;\n", patterns.join(" | "), source(&value.kind));
        }
        if let Some(operand) = &verb.operand {
            text += &format!("    {},) echo '{}' ;;\n", verb.name, source(operand));
        }
    }
    text + "    esac\n}\n"
}

/// Within single quotes.
fn quoted(text: &str) -> String {
    text.replace('\'', "'\\''")
}

/// A function for each verb, and a list of them.
fn zsh(verbs: &[Verb]) -> String {
    let action = |kind: &Kind| match kind {
        Kind::Words(words) => format!("({})", words.join(" ")),
        Kind::File => "_files".into(),
        Kind::Target => "_keepalive_targets".into(),
        Kind::Group => "_keepalive_groups".into(),
        Kind::Verb => "_keepalive_verbs".into(),
        Kind::Program | Kind::Nothing => " ".into(),
    };
    // _arguments takes these apart, and _describe the colon.
    let escaped = |text: &str, special: &[char]| {
        let mut escaped = String::new();
        for character in text.chars() {
            if special.contains(&character) {
                escaped.push('\\');
            }
            escaped.push(character);
        }
        quoted(&escaped)
    };
    let mut text = String::from("_keepalive_verbs() {\n    local -a verbs=(\n");
    for Verb { name, help, .. } in verbs {
        text += &format!("        '{name}:{}'\n", escaped(help, &['\\']));
    }
    text += "    )\n    _describe -t commands command verbs\n}\n";
    for verb in verbs {
        text += &format!("\n_keepalive_{}() {{\n    _arguments -S -s \\\n", verb.name);
        for option in &verb.options {
            let help = escaped(&option.help, &['\\', '[', ']', ':']);
            let (equals, value) = match &option.value {
                None => ("", String::new()),
                Some(Value { name, kind, is_optional: true }) => {
                    ("=-", format!("::{}:{}", escaped(name, &[':']), action(kind)))
                }
                Some(Value { name, kind, .. }) => {
                    ("=", format!(":{}:{}", escaped(name, &[':']), action(kind)))
                }
            };
            let written = option.written().join(" ");
            let excluded = if option.is_repeated { "*".into() } else { format!("({written})") };
            text += &format!("        '{excluded}--{}{equals}[{help}]{value}' \\\n", option.long);
            if let Some(short) = option.short {
                let plus = if option.value.is_some() { "+" } else { "" };
                text += &format!("        '{excluded}-{short}{plus}[{help}]{value}' \\\n");
            }
        }
        text += &match &verb.operand {
            Some(Kind::Program) => {
                "        '(-):program: _command_names -e' \\\n        '*::arguments: _normal'\n"
                    .into()
            }
            Some(kind) => format!("        '*:operand:{}'\n", action(kind)),
            None => "        ':: '\n".into(),
        };
        text += "}\n";
    }
    text
}

/// A line for each option and verb.
fn fish(verbs: &[Verb]) -> String {
    let words = |kind: &Kind| match kind {
        Kind::Words(words) => words.join(" "),
        Kind::Target => "(__keepalive_targets)".into(),
        Kind::Group => "(__keepalive_groups)".into(),
        _ => String::new(),
    };
    let quote = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    let mut text = String::new();
    for verb in verbs {
        let Verb { name, help, .. } = verb;
        let with_value = verb.options_with_value().join(" ");
        text += &format!(
            "\ncomplete -c keepalive -n __keepalive_needs_verb -a {name} -d '{}'\n",
            quote(help)
        );
        let condition = match verb.operand {
            Some(Kind::Program) => format!("__keepalive_before_program {name} {with_value}"),
            _ => format!("__keepalive_verb {name}"),
        };
        for option in &verb.options {
            text += &format!("complete -c keepalive -n '{condition}' -l {}", option.long);
            text += &option.short.map(|letter| format!(" -s {letter}")).unwrap_or_default();
            text += &match &option.value {
                None | Some(Value { is_optional: true, .. }) => String::new(),
                Some(Value { kind: Kind::File, .. }) => " -r -F".into(),
                Some(Value { kind, .. }) => format!(" -x -a '{}'", words(kind)),
            };
            text += &format!(" -d '{}'\n", quote(&option.help));
        }
        let operand = match &verb.operand {
            // The dash ends the function's own options. (After two dashes it would take `--` for an
            // option with a value.)
            Some(Kind::Program) => {
                format!("(__fish_complete_subcommand --fcs-skip=2 - {with_value})")
            }
            Some(Kind::Verb) => {
                verbs.iter().map(|verb| verb.name.as_str()).collect::<Vec<_>>().join(" ")
            }
            Some(kind) => words(kind),
            None => String::new(),
        };
        if !operand.is_empty() {
            text += &format!("complete -c keepalive -n '__keepalive_verb {name}' -a '{operand}'\n");
        }
    }
    text
}
