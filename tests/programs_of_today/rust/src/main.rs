//! A request by one of Rust's HTTP clients.

use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let name = std::env::args().nth(1).expect("the client's name");
    let host = std::env::var("HOST").expect("HOST");
    println!("asks");
    match ask(&name, &format!("http://{host}:7000/")).await {
        Ok(_) => println!("answered"),
        Err(error) => println!("failed: {}", cause(&*error)),
    }
}

/// What an error comes from in the end.
fn cause<'a>(mut error: &'a (dyn std::error::Error + 'static)) -> &'a dyn std::error::Error {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

async fn ask(name: &str, address: &str) -> Result<Vec<u8>> {
    match name {
        "reqwest" => Ok(reqwest::get(address).await?.bytes().await?.to_vec()),
        "hyper" => {
            let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
            let answer = client.get(address.parse()?).await?;
            Ok(answer.into_body().collect().await?.to_bytes().to_vec())
        }
        _ => panic!("no client of this name: {name}"),
    }
}
