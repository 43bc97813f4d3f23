//! Where keys are read from: files and URLs.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{StatusCode, Url};
use tokio::io::AsyncReadExt as _;

use super::{Refusal, SettingsError};

/// How long reading a key may take, a slow server included.
pub(super) const READ_LIMIT: Duration = Duration::from_secs(5);

/// More than any set of keys needs.
const MAX_BYTES: usize = 1 << 20;

/// A place that holds text: a file, or what an HTTP server answers.
#[derive(Clone, Debug)]
pub(super) enum Place {
    File(PathBuf),
    /// The client that asks, and what it asks for.
    Web(reqwest::Client, Url),
}

impl Place {
    /// Understands an `http(s)://` address, `file://`, or the path of a file.
    ///
    /// Keys travel over TLS; plain HTTP is for a server on this machine.
    pub(super) fn parse(text: &str) -> Result<Self, SettingsError> {
        let Some(url) = Url::parse(text).ok().filter(|url| url.scheme().len() > 1) else {
            return Ok(Self::File(text.into()));
        };
        match url.scheme() {
            "file" => url
                .to_file_path()
                .map(Self::File)
                .map_err(|()| SettingsError::Source(text.to_owned())),
            "https" => Ok(Self::Web(client(reqwest::Client::builder())?, url)),
            "http" if super::site::is_loopback(url.host_str().unwrap_or_default()) => {
                // No proxy knows this machine by that name.
                Ok(Self::Web(
                    client(reqwest::Client::builder().no_proxy())?,
                    url,
                ))
            }
            _ => Err(SettingsError::Source(crate::dial::shown(&url))),
        }
    }

    /// The entry `name` of this directory or base URL.
    pub(super) fn entry(&self, name: &str) -> Self {
        match self {
            Self::File(directory) => Self::File(directory.join(name)),
            Self::Web(client, base) => {
                let mut url = base.clone();
                if let Ok(mut segments) = url.path_segments_mut() {
                    segments.pop_if_empty().push(name);
                }
                Self::Web(client.clone(), url)
            }
        }
    }

    /// Whether a directory can be read; a server is asked when it has to be.
    pub(super) async fn look(&self) -> std::io::Result<()> {
        match self {
            Self::File(directory) => tokio::fs::read_dir(directory).await.map(drop),
            Self::Web(..) => Ok(()),
        }
    }

    /// The text, or `None` when there certainly is none.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] for every failure that says nothing about the key, and after 5 s.
    pub(super) async fn read(&self) -> Result<Option<String>, Refusal> {
        let read = async {
            match self {
                Self::File(path) => file(path).await,
                Self::Web(client, url) => web(client, url).await,
            }
        };
        match tokio::time::timeout(READ_LIMIT, read).await {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(error)) => {
                tracing::warn!(source = %self, %error, "a key cannot be read");
                Err(Refusal::Unavailable)
            }
            Err(_elapsed) => {
                tracing::warn!(source = %self, "a key takes too long to read");
                Err(Refusal::Unavailable)
            }
        }
    }
}

/// Without query or password: those may be secrets.
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Web(_, url) => f.write_str(&crate::dial::shown(url)),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    File(#[from] std::io::Error),
    #[error("{0}")]
    Web(String),
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("it is longer than {MAX_BYTES} bytes")]
    Long,
    #[error("it is not text")]
    Text,
}

/// Keeps the address, which may hold a secret, out of the error: what is at its bottom has none.
impl From<reqwest::Error> for ReadError {
    fn from(error: reqwest::Error) -> Self {
        Self::Web(crate::log::cause(&error.without_url()))
    }
}

async fn file(path: &PathBuf) -> Result<Option<String>, ReadError> {
    let file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).await?;
    text(bytes)
}

async fn web(client: &reqwest::Client, url: &Url) -> Result<Option<String>, ReadError> {
    let mut response = client.get(url.clone()).send().await?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
        status => return Err(ReadError::Status(status)),
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_BYTES {
            return Err(ReadError::Long);
        }
    }
    text(bytes)
}

fn text(bytes: Vec<u8>) -> Result<Option<String>, ReadError> {
    if bytes.len() > MAX_BYTES {
        return Err(ReadError::Long);
    }
    let text = String::from_utf8(bytes).map_err(|_invalid| ReadError::Text)?;
    Ok(Some(text))
}

/// Follows no redirects: keys come from where the operator said.
fn client(settings: reqwest::ClientBuilder) -> Result<reqwest::Client, SettingsError> {
    crate::tls::install();
    settings
        .redirect(reqwest::redirect::Policy::none())
        .timeout(READ_LIMIT)
        .build()
        .map_err(|error| SettingsError::Client(error.to_string()))
}
