//! The way in which keepalive gets into a program: by the preload, from outside, or not at all.

use std::path::Path;

use super::library::Library;
use super::program::{self, Obstacle};
use super::{Failure, printed};
use crate::process::NotFollowed;
use crate::request::Run;
use crate::sys::Status;
use crate::text::report_error;

/// How keepalive gets into the program.
pub struct Way {
    /// By this preload.
    pub library: Option<Library>,
    /// From outside.
    pub is_followed: bool,
    /// Why the preload alone does not do, in words.
    pub obstacle: Option<String>,
}

impl Way {
    /// The preload where it can work, else the follower; or what was asked for.
    pub fn find(request: &Run, name: &Path, program: &Path) -> Result<Self, Failure> {
        let given = request.library.as_deref();
        let library = Library::find(given);
        let machine = library.as_ref().ok().map(|library| library.machine);
        let Some((file, obstacle)) = program::obstacle(program, machine) else {
            let library =
                Some(library.map_err(|error| Failure(Status::RunFailed, error.to_string()))?);
            return Ok(Self { library, is_followed: request.is_followed, obstacle: None });
        };
        let through = if file == program {
            String::new()
        } else {
            format!("{}: its interpreter ", printed(name))
        };
        let what = format!("{through}{} {obstacle}", printed(&file));
        let is_secure = matches!(obstacle, Obstacle::Secure(_));
        if is_secure && !request.anyway {
            return Err(Failure(Status::RunFailed, refusal(&what, Some(NotFollowed::ADVICE))));
        }
        if request.anyway {
            report_error(format!("{what}; starting it anyway"));
        }
        // The follower needs no library, but one that was named must be there.
        let needs_library = request.anyway || given.is_some();
        let library = match library {
            Err(error) if needs_library => {
                return Err(Failure(Status::RunFailed, error.to_string()));
            }
            library => library.ok().filter(|_| request.anyway || request.is_followed),
        };
        Ok(Self { library, is_followed: !request.anyway, obstacle: Some(what) })
    }

    /// The program is not started because it cannot be followed.
    pub fn without_follower(&self, program: &Path, why: &NotFollowed) -> Failure {
        let message = match &self.obstacle {
            Some(what) => {
                refusal(&format!("{what}; nor can it be followed: {}", why.reason), why.advice)
            }
            None => format!(
                "{} cannot be followed: {}\nWithout --follow the preload alone serves it",
                printed(program),
                why.reason
            ),
        };
        Failure(Status::RunFailed, message)
    }
}

/// What keeps keepalive from the program, and what to do instead.
fn refusal(what: &str, way: Option<&str>) -> String {
    let way = way.map_or(String::new(), |way| format!("Instead: {way}\n"));
    format!(
        "{what}\n{way}--anyway starts it with the preload alone, for the programs that it starts \
         itself"
    )
}
