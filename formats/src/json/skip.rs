//! Reads an object or array that nobody asks for, 64 bytes at a time, and checks its grammar.
//!
//! The bytes of a block are bits of words, so that which of them are in texts, and whether each token may follow the one
//! before it, is found for all of them at once. Brackets, numbers, literals and escapes are looked at one by one. How
//! texts and escapes are found is of Langdale and Lemire, "Parsing Gigabytes of JSON per Second" (VLDB Journal 28, 2019),
//! section 3.1.1; there the grammar is checked token by token.

use super::block::{self, Block, next, odd, take_lowest};
use super::nesting::Nesting;
use super::scan::{Malformed, Scan};

/// What a block must know of those before it.
struct Skip {
    nesting: Nesting,
    /// All bits, where the block begins in a text.
    in_text: u64,
    /// Whether the first byte is escaped.
    escaped: u64,
    /// Whether the byte before is of a number or literal.
    scalar: u64,
    /// Whether the next token is the first one after these.
    after_separator: u64,
    after_open: u64,
    after_text: u64,
    /// Whether the next bracket, colon or comma is the first one after the place where a name is due.
    after_name_due: u64,
}

/// The bytes of a block that are in texts, with the quotes around them.
struct Texts {
    within: u64,
    opening: u64,
    closing: u64,
    /// The backslashes that begin an escape.
    escapes: u64,
}

/// The brackets of a block.
struct Brackets {
    /// The places in objects, rather than in arrays.
    in_object: u64,
    /// The opening braces.
    braces: u64,
    /// The place of the one that closes the container.
    end: Option<usize>,
}

impl Scan<'_> {
    /// Reads an object or array.
    #[inline(never)]
    pub(super) fn skip_container(self, mut at: usize) -> Result<usize, Malformed> {
        let mut skip = Skip {
            nesting: Nesting::default(),
            in_text: 0,
            escaped: 0,
            scalar: 0,
            // As a value is due.
            after_separator: 1,
            after_open: 0,
            after_text: 0,
            after_name_due: 0,
        };
        while let Some(block) = Block::read(self.0, at) {
            if let Some(end) = skip.block(self, at, &block)? {
                return Ok(at + end + 1);
            }
            at += block::LEN;
        }
        Err(Malformed)
    }

    /// Checks a number or literal, and that a token of another kind follows.
    #[inline(always)]
    fn whole_scalar(self, at: usize) -> Result<(), Malformed> {
        match self.peek(self.scalar(at)?.end()) {
            b',' | b'}' | b']' | b' ' | b'\n' | b'\t' | b'\r' => Ok(()),
            _ => Err(Malformed),
        }
    }
}

impl Skip {
    /// Checks a block. Gives the place in it of the bracket that closes the container.
    #[inline(always)]
    fn block(&mut self, scan: Scan<'_>, at: usize, block: &Block) -> Result<Option<usize>, Malformed> {
        let texts = self.texts(block);
        let outside = !(texts.within | texts.closing);
        let (open, close) = (block.open & outside, block.close & outside);
        let (colon, comma) = (block.colon & outside, block.comma & outside);
        let space = (block.space | white_controls(scan, at, block.control)) & outside;
        let brackets = self.brackets(scan, at, open, close)?;

        let structure = open | close | colon | comma;
        let scalar = outside & !structure & !space;
        let scalars = scalar & !(scalar << 1 | self.scalar);
        self.scalar = scalar >> 63;

        let values = texts.opening | open | scalars;
        let after_separator = next(colon | comma, space, &mut self.after_separator);
        let after_open = next(open, space, &mut self.after_open);
        let after_text = next(texts.closing, space, &mut self.after_text);
        let names_due = comma & brackets.in_object | brackets.braces;
        let after_name_due = next(names_due, !structure, &mut self.after_name_due);
        let wrong = values & !(after_separator | after_open)
            | (colon | comma) & (after_separator | after_open)
            | close & after_separator
            // A colon follows a text, and only where a name is due; there nothing else does.
            | colon & !(after_text & after_name_due)
            | after_name_due & !(colon | close & after_open)
            | block.control & texts.within;

        let inside = brackets.end.map_or(u64::MAX, |end| u64::MAX >> (63 - end));
        if wrong & inside != 0 {
            return Err(Malformed);
        }
        let mut scalars = scalars & inside;
        while let Some(place) = take_lowest(&mut scalars) {
            scan.whole_scalar(at + place)?;
        }
        let mut escapes = texts.escapes & inside;
        while let Some(place) = take_lowest(&mut escapes) {
            scan.escape(at + place)?;
        }
        Ok(brackets.end)
    }

    #[inline(always)]
    fn texts(&mut self, block: &Block) -> Texts {
        let (escapes, escaped) = self.escapes(block.backslash);
        let quote = block.quote & !escaped;
        let odd = odd(quote) ^ self.in_text;
        self.in_text = if odd >> 63 == 1 { u64::MAX } else { 0 };
        Texts { within: odd, opening: quote & odd, closing: quote & !odd, escapes }
    }

    /// The backslashes that begin an escape, and the bytes after those.
    #[inline(always)]
    fn escapes(&mut self, backslash: u64) -> (u64, u64) {
        const ODD_PLACES: u64 = 0xaaaa_aaaa_aaaa_aaaa;
        if backslash | self.escaped == 0 {
            return (0, 0);
        }
        // A subtraction borrows through each run of backslashes, so that what follows a run changes by whether the run
        // begins at an odd place.
        let first = backslash & !self.escaped;
        let runs = (first << 1 | ODD_PLACES).wrapping_sub(first) ^ ODD_PLACES;
        let escaped = runs ^ (backslash | self.escaped);
        let escapes = runs & backslash;
        self.escaped = escapes >> 63;
        (escapes, escaped)
    }

    /// Follows the brackets of a block up to the one that closes the container.
    #[inline(always)]
    fn brackets(&mut self, scan: Scan<'_>, at: usize, open: u64, close: u64) -> Result<Brackets, Malformed> {
        let all = |object: bool| if object { u64::MAX } else { 0 };
        let mut brackets = Brackets { in_object: all(self.nesting.in_object()), braces: 0, end: None };
        let mut rest = open | close;
        while let Some(place) = take_lowest(&mut rest) {
            let is_brace = matches!(scan.peek(at + place), b'{' | b'}');
            if open >> place & 1 == 1 {
                self.nesting.open(is_brace);
                brackets.braces |= u64::from(is_brace) << place;
            } else if is_brace != self.nesting.in_object() {
                return Err(Malformed);
            } else if !self.nesting.close() {
                brackets.end = Some(place);
                break;
            }
            let from_here = u64::MAX << place;
            brackets.in_object = brackets.in_object & !from_here | all(self.nesting.in_object()) & from_here;
        }
        Ok(brackets)
    }
}

/// The control characters of a block that are white space.
#[inline(always)]
fn white_controls(scan: Scan<'_>, at: usize, mut control: u64) -> u64 {
    let mut white = 0;
    while let Some(place) = take_lowest(&mut control) {
        white |= u64::from(matches!(scan.peek(at + place), b'\n' | b'\t' | b'\r')) << place;
    }
    white
}
