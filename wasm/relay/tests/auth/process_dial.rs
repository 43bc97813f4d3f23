//! A relay that is another process, and requests to it of which only counts that they are made.

use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};

use moq_net::Version;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use web_transport_quinn as wt;
use web_transport_trait::Session as _;
use wt::proto::ConnectRequest;

use super::world::soon;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_moq-worker-relay");

/// The program as a relay on some port.
pub(crate) struct Program {
    pub(crate) address: SocketAddr,
    pub(crate) fingerprint: String,
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    log: JoinHandle<String>,
}

impl Program {
    /// Starts it with these arguments, logging what `log` asks for.
    pub(crate) async fn start(arguments: &[&str], log: Option<&str>) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["--bind", "127.0.0.1:0"]).args(arguments);
        match log {
            Some(log) => command.env("RUST_LOG", log),
            None => command.env_remove("RUST_LOG"),
        };
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stderr = child.stderr.take().unwrap();
        let log = tokio::spawn(async move {
            let mut bytes = Vec::new();
            stderr.read_to_end(&mut bytes).await.unwrap();
            String::from_utf8(bytes).unwrap()
        });
        let mut said = async |what: &str| {
            let line = soon("the start", output.next_line()).await.unwrap();
            line.unwrap().strip_prefix(what).unwrap().to_owned()
        };
        Self {
            address: said("relay listening on ").await.parse().unwrap(),
            fingerprint: said("certificate ").await,
            child,
            output,
            log,
        }
    }

    /// Ends it, and gives everything it has printed since its start.
    pub(crate) async fn kill(mut self) -> String {
        self.child.start_kill().unwrap();
        let _status = self.child.wait().await.unwrap();
        let mut printed = soon("the log", self.log).await.unwrap();
        while let Some(line) = self.output.next_line().await.unwrap() {
            printed.push_str(&line);
        }
        printed
    }

    /// Asks it to end when nobody has read what it prints for a while.
    #[cfg(unix)]
    pub(crate) async fn unread(self, meanwhile: impl Future<Output = ()>) -> ExitStatus {
        let Self {
            child, output, log, ..
        } = self;
        drop(output);
        log.abort();
        let _aborted = log.await;
        meanwhile.await;
        terminate(child).await
    }

    /// Asks it to end.
    #[cfg(unix)]
    pub(crate) async fn terminate(self) -> ExitStatus {
        terminate(self.child).await
    }
}

#[cfg(unix)]
async fn terminate(mut child: Child) -> ExitStatus {
    let id = child.id().unwrap().to_string();
    let asked = Command::new("kill").args(["-TERM", &id]).status().await;
    assert!(asked.unwrap().success());
    soon("the end", child.wait()).await.unwrap()
}

/// Asks for `target` over WebTransport, WebSocket and HTTP, whatever the answers are.
pub(crate) async fn everywhere(address: SocketAddr, fingerprint: &str, target: &str) {
    let hash: Vec<u8> = (0..fingerprint.len() / 2)
        .map(|at| u8::from_str_radix(&fingerprint[at * 2..at * 2 + 2], 16).unwrap())
        .collect();
    let url = format!("https://localhost:{}{target}", address.port());
    let request =
        ConnectRequest::new(url.parse::<url::Url>().unwrap()).with_protocol(Version::Lite04.alpn());
    let client = wt::ClientBuilder::new()
        .with_server_certificate_hashes(vec![hash])
        .unwrap();
    let session = soon("WebTransport", client.connect(request)).await.unwrap();
    session.close(0, b"");
    let socket = qmux::ws::Client::new()
        .with_protocol(Version::Lite06.alpn(), &[qmux::Version::QMux01])
        .require_protocol();
    let socket = soon(
        "WebSocket",
        socket.connect(&format!("ws://{address}{target}")),
    )
    .await;
    if let Ok(session) = socket {
        session.close(0, "");
    }
    let mut http = tokio::net::TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET /announced{target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    http.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon("HTTP", http.read_to_end(&mut answer)).await.unwrap();
}
