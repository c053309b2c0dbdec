//! show
pub fn show(_: &crate::cli::ShowArgs) -> std::process::ExitCode {
    todo!()
}
