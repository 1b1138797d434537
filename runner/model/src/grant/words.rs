//! The text of a grant as words: where it is split, what is quoted, where a star or a hole stands.
//!
//! A grant is split before anything is filled into it, so that no value can become two arguments, a star or an option
//! that nobody wrote.

use crate::template::{BadReference, Piece, Reference, Template, Token, escape, tokens};

/// A part of a word. `H` is what stands in braces: a parameter in a manifest, a reference elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Atom<H> {
    /// Text as it is.
    Text(String),
    /// A star that is not quoted.
    Star,
    /// Something to fill in.
    Hole(H),
}

/// A word; one without atoms is the empty argument `''`.
pub(super) type Word<H> = Vec<Atom<H>>;

/// What can stand between `${` and `}`.
pub(super) trait Hole: Sized {
    /// Reads it.
    fn parse(inside: &str) -> Result<Self, Why>;
}

/// Why a text is no grant, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Why {
    pub(super) why: String,
    pub(super) hint: Option<String>,
}

impl Why {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Hole for Reference {
    fn parse(inside: &str) -> Result<Self, Why> {
        inside.parse().map_err(|error: BadReference| {
            let why = Why::new(error.to_string());
            match error.suggestion() {
                Some(meant) => why.hint(format!("did you mean `${{{meant}}}`?")),
                None => why,
            }
        })
    }
}

/// How a text is split.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lexing {
    /// It is one word, spaces and all.
    One,
    /// At spaces.
    Spaces,
    /// At spaces; a `*` is a star.
    Stars,
    /// At spaces that are not quoted; a `*` that is not quoted is a star.
    Quotes,
}

/// Splits a text into words.
pub(super) fn words<H: Hole>(text: &str, how: Lexing) -> Result<Vec<Word<H>>, Why> {
    let mut lexer = Lexer { how, words: Vec::new(), word: None, quote: None };
    for token in tokens(text) {
        match token {
            Token::Text(text) => lexer.text(&text)?,
            Token::Braces(_, inside) => lexer.push(Atom::Hole(H::parse(inside)?)),
            Token::Open(_) => {
                return Err(Why::new("`${` has no `}`").hint("write `$${` for the two characters themselves"));
            }
        }
    }
    if let Some(quote) = lexer.quote {
        return Err(Why::new(format!("a `{quote}` is not closed")));
    }
    lexer.end();
    Ok(lexer.words)
}

struct Lexer<H> {
    how: Lexing,
    words: Vec<Word<H>>,
    word: Option<Word<H>>,
    quote: Option<char>,
}

impl<H> Lexer<H> {
    fn push(&mut self, atom: Atom<H>) {
        self.word.get_or_insert_default().push(atom);
    }

    fn letter(&mut self, letter: char) {
        let word = self.word.get_or_insert_default();
        match word.last_mut() {
            Some(Atom::Text(text)) => text.push(letter),
            _ => word.push(Atom::Text(letter.to_string())),
        }
    }

    fn end(&mut self) {
        self.words.extend(self.word.take());
    }

    fn text(&mut self, text: &str) -> Result<(), Why> {
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match (self.how, self.quote, letter) {
                (Lexing::One, ..) => self.letter(letter),
                (Lexing::Quotes, Some(quote), _) if letter == quote => self.quote = None,
                (Lexing::Quotes, Some('"'), '\\') => match letters.next() {
                    Some(escaped @ ('"' | '\\')) => self.letter(escaped),
                    _ => return Err(Why::new(r#"in `"…"` only `\"` and `\\` are escapes"#)),
                },
                (_, Some(_), _) => self.letter(letter),
                (Lexing::Quotes, None, '\'' | '"') => {
                    self.word.get_or_insert_default();
                    self.quote = Some(letter);
                }
                (Lexing::Quotes, None, '\\') => {
                    return Err(Why::new("a `\\` stands outside quotes").hint("put the argument in `'…'`"));
                }
                (_, None, ' ') => self.end(),
                (Lexing::Stars | Lexing::Quotes, None, '*') => self.push(Atom::Star),
                (_, None, letter) if letter.is_control() || letter.is_whitespace() => {
                    let why = "only plain spaces separate words";
                    return Err(match self.how {
                        Lexing::Quotes => Why::new(why).hint("put the argument in `'…'`"),
                        _ => Why::new(why),
                    });
                }
                (_, None, letter) => self.letter(letter),
            }
        }
        Ok(())
    }
}

/// A word without stars.
pub(super) fn template(word: &Word<Reference>) -> Option<Template> {
    let mut template = Template::default();
    for atom in word {
        template.push(match atom {
            Atom::Text(text) => Piece::Text(text.clone()),
            Atom::Hole(reference) => Piece::Reference(reference.clone()),
            Atom::Star => return None,
        });
    }
    Some(template)
}

/// Writes an argument so that [`words`] reads it back with [`Lexing::Quotes`].
pub(super) fn quoted(argument: &Template) -> String {
    let texts = || {
        argument.pieces().iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Reference(_) => None,
        })
    };
    let bare = |c: char| !(c.is_whitespace() || c.is_control() || "'\"\\*".contains(c));
    if !argument.pieces().is_empty() && texts().all(|text| text.chars().all(bare)) {
        return argument.to_string();
    }
    let quote = if texts().any(|text| text.contains('\'')) { '"' } else { '\'' };
    let mut written = Template::literal(quote);
    for piece in argument.pieces() {
        written.push(match piece {
            Piece::Text(text) if quote == '"' => Piece::Text(text.replace('\\', "\\\\").replace('"', "\\\"")),
            piece => piece.clone(),
        });
    }
    written.push(Piece::Text(quote.to_string()));
    written.to_string()
}

/// Writes a word of a manifest, for messages.
pub(super) fn plain(text: &str) -> String {
    escape(text, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str) -> Result<Vec<String>, String> {
        let words = words::<Reference>(text, Lexing::Quotes).map_err(|why| why.why)?;
        Ok(words
            .iter()
            .map(|word| {
                word.iter()
                    .map(|atom| match atom {
                        Atom::Text(text) => text.clone(),
                        Atom::Star => "<*>".to_owned(),
                        Atom::Hole(reference) => format!("<{reference}>"),
                    })
                    .collect()
            })
            .collect())
    }

    #[test]
    fn quotes_hold_arguments_together() {
        assert_eq!(split("a  b ").expect("plain"), ["a", "b"]);
        assert_eq!(
            split(r#"a 'b c' "d \"e\" \\" '' f'g 'h"#).expect("quoted"),
            ["a", "b c", "d \"e\" \\", "", "fg h"]
        );
        assert_eq!(split("ls * '*' --x=* **").expect("stars"), ["ls", "<*>", "*", "--x=<*>", "<*><*>"]);
        assert_eq!(split("x '${target.name} y' $${z}").expect("holes"), ["x", "<target.name> y", "${z}"]);
    }

    #[test]
    fn what_could_be_read_two_ways_is_refused() {
        for text in ["a 'b", "a \"b", r"a \b", r#"a "\n""#, "a\tb", "a\nb", "a\u{a0}b", "${"] {
            assert!(split(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_quoted_argument_is_one_argument_again(text in "\\PC{0,12}|[ '\"\\\\*$\\{\\}\n\ta-]{0,12}") {
            let mut argument = Template::literal(text);
            let printed = quoted(&argument);
            let read = words::<Reference>(&printed, Lexing::Quotes).expect("just printed");
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!(template(&read[0]), Some(argument.clone()));

            argument.push(Piece::Reference(Reference::PlanName));
            let read = words::<Reference>(&quoted(&argument), Lexing::Quotes).expect("just printed");
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!(template(&read[0]), Some(argument));
        }
    }
}
