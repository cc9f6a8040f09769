//! Hands mail to a mailbox server over LMTP. Unlike SMTP it answers for each recipient after the message,
//! and what it has accepted is delivered.
mod opensend_layer;
mod opensend_plugin;

use opensend_layer::*;
use opensend_plugin::*;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

type Table = osp_transport_v1;

struct Lmtp {
    host: Host,
    server: String,
    port: u16,
}

impl Instance for Lmtp {
    // deliver may run on several threads at once: it changes no member.
    const FLAGS: u32 = OSP_INST_CONCURRENT as u32;

    fn create(host: Host, config: &Json) -> Result<Self, Failure> {
        config.only(&["host", "port"])?;
        let server = config.get("host").and_then(Json::text).unwrap_or("");
        if server.is_empty() {
            return fail(OSP_E_CONFIG, "host names the mail server");
        }
        let port = match config.get("port") {
            None => 24,
            Some(value) => match value.int() {
                Some(port) if (1..=65535).contains(&port) => port as u16,
                _ => return fail(OSP_E_CONFIG, "port is a number from 1 to 65535"),
            },
        };
        Ok(Lmtp { host, server: server.to_string(), port })
    }
    fn host(&self) -> Host {
        self.host
    }
}

impl Transport for Lmtp {
    fn caps(&self) -> osp_transport_caps {
        osp_transport_caps {
            flags: (OSP_TR_BLOCKING | OSP_TR_PER_RCPT | OSP_TR_FINAL_HOST) as u32,
            max_batch: 16,
            max_rcpts: 100,
            max_concurrency: 4,
            ..sized()
        }
    }

    fn deliver(&self, message: &osp_msg) -> Result<Vec<Outcome>, Failure> {
        let rcpts: Vec<&str> =
            (0..message.n_rcpts).map(|i| text(at(message.rcpts, message.rcpt_stride, i).addr)).collect();
        let sender = text(message.mail_from);
        if rcpts.is_empty() || !message.blob.is_null() {
            return fail(OSP_E_UNSUPPORTED, "no recipients, or a large body");
        }
        if !is_plain(sender) || rcpts.iter().any(|rcpt| rcpt.is_empty() || !is_plain(rcpt)) {
            return fail(OSP_E_INVALID, "an address that LMTP cannot carry");
        }
        let wire = Wire::connect(self.host, &self.server, self.port, message.deadline);
        let told = wire.and_then(|mut wire| wire.talk(sender, &rcpts, bytes(message.data)));
        told.map_err(|error| {
            let status = match error.kind() {
                ErrorKind::TimedOut | ErrorKind::WouldBlock => OSP_E_TIMEOUT,
                ErrorKind::InvalidData => OSP_E_INTERNAL,
                _ => OSP_E_UNAVAILABLE,
            };
            Failure { status, text: "the conversation ended before the message".to_string(), retry_after_ms: 0 }
        })
    }
}

const MAX_LINE: u64 = 1024;
const MAX_REPLY_LINES: usize = 100;

struct Reply {
    code: u16,
    line: String,
}

/// One connection to an LMTP server.
struct Wire {
    host: Host,
    deadline: u64,
    stream: BufReader<TcpStream>,
}

fn is_plain(address: &str) -> bool {
    address.len() <= 320 && address.bytes().all(|c| c > b' ' && c != 127 && c != b'<' && c != b'>')
}

fn outcome_of(reply: &Reply, stage: i32) -> Outcome {
    let mut enhanced = [0; 3];
    let word = reply.line.get(4..).unwrap_or("").split(' ').next().unwrap_or("");
    let numbers: Vec<u16> = word.split('.').filter_map(|part| part.parse().ok()).collect();
    if numbers.len() == 3 && numbers[0] < 10 {
        enhanced.copy_from_slice(&numbers);
    }
    let outcome = match reply.code {
        0..=399 => OSP_OUT_ACCEPTED,
        400..=499 => OSP_OUT_DEFERRED,
        _ => OSP_OUT_REJECTED,
    };
    let diag = reply.line.chars().take(200).collect();
    Outcome { outcome, smtp_code: reply.code, enhanced, stage, remote_id: String::new(), diag }
}

impl Wire {
    fn connect(host: Host, server: &str, port: u16, deadline: u64) -> Result<Wire, Error> {
        let mut last = Error::new(ErrorKind::NotFound, "no address");
        for address in (server, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, left(host, deadline)?) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Wire { host, deadline, stream: BufReader::new(stream) });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let time = left(self.host, self.deadline)?;
        self.stream.get_ref().set_write_timeout(Some(time))?;
        self.stream.get_mut().write_all(bytes)
    }

    fn reply(&mut self) -> Result<Reply, Error> {
        let bad = || Error::new(ErrorKind::InvalidData, "no LMTP reply");
        for _ in 0..MAX_REPLY_LINES {
            let time = left(self.host, self.deadline)?;
            self.stream.get_ref().set_read_timeout(Some(time))?;
            let mut raw = Vec::new();
            (&mut self.stream).take(MAX_LINE).read_until(b'\n', &mut raw)?;
            if raw.is_empty() {
                return Err(Error::new(ErrorKind::UnexpectedEof, "closed"));
            }
            if raw.pop() != Some(b'\n') {
                return Err(if raw.len() as u64 >= MAX_LINE - 1 { bad() } else { ErrorKind::UnexpectedEof.into() });
            }
            let line = String::from_utf8_lossy(&raw).trim_end_matches('\r').to_string();
            let code: u16 = line.get(..3).and_then(|digits| digits.parse().ok()).ok_or_else(bad)?;
            if !(200..600).contains(&code) {
                return Err(bad());
            }
            match line.as_bytes().get(3) {
                Some(b'-') => continue,
                Some(b' ') | None => return Ok(Reply { code, line }),
                _ => return Err(bad()),
            }
        }
        Err(bad())
    }

    fn command(&mut self, line: &str) -> Result<Reply, Error> {
        self.write(format!("{}\r\n", line).as_bytes())?;
        self.reply()
    }

    /// One transaction. An error means that the message cannot have been taken.
    fn talk(&mut self, sender: &str, rcpts: &[&str], data: &[u8]) -> Result<Vec<Outcome>, Error> {
        let steps = [
            (OSP_STAGE_CONNECT, String::new()),
            (OSP_STAGE_EHLO, "LHLO localhost".to_string()),
            (OSP_STAGE_MAIL, format!("MAIL FROM:<{}>", sender)),
        ];
        for (stage, line) in steps {
            let reply = if line.is_empty() { self.reply()? } else { self.command(&line)? };
            if reply.code >= 400 {
                return Ok(vec![outcome_of(&reply, stage); rcpts.len()]);
            }
        }
        let mut outcomes = Vec::new();
        for rcpt in rcpts {
            let reply = self.command(&format!("RCPT TO:<{}>", rcpt))?;
            outcomes.push(outcome_of(&reply, OSP_STAGE_RCPT));
        }
        if outcomes.iter().all(|one| one.outcome != OSP_OUT_ACCEPTED) {
            return Ok(outcomes);
        }
        let reply = self.command("DATA")?;
        if reply.code >= 400 {
            tell(&mut outcomes, &outcome_of(&reply, OSP_STAGE_DATA));
            return Ok(outcomes);
        }
        if reply.code != 354 {
            return Err(Error::new(ErrorKind::InvalidData, "DATA was not understood"));
        }
        self.write(&dotted(data))?;
        // From here on nobody but the server knows who has the message. It answers for each recipient
        // that it took, in their order; what is missing is not known.
        let mut replies = self.write(b".\r\n");
        for one in outcomes.iter_mut().filter(|one| one.outcome == OSP_OUT_ACCEPTED) {
            let reply = replies.and_then(|_| self.reply());
            replies = match reply {
                Ok(reply) => {
                    *one = outcome_of(&reply, OSP_STAGE_END);
                    Ok(())
                }
                Err(error) => {
                    *one = Outcome {
                        outcome: OSP_OUT_INDETERMINATE,
                        stage: OSP_STAGE_END,
                        diag: "no reply after the message".to_string(),
                        ..Outcome::default()
                    };
                    Err(error)
                }
            };
        }
        let _ = self.write(b"QUIT\r\n");
        Ok(outcomes)
    }
}

/// A reply to the whole transaction holds for every recipient that was still in it.
fn tell(outcomes: &mut [Outcome], told: &Outcome) {
    for one in outcomes.iter_mut().filter(|one| one.outcome == OSP_OUT_ACCEPTED) {
        *one = told.clone();
    }
}

/// The message with its dots doubled and a line end behind it, without the final dot.
fn dotted(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 64);
    let mut before = b'\n';
    for &byte in data {
        if before == b'\n' && byte == b'.' {
            out.push(b'.');
        }
        out.push(byte);
        before = byte;
    }
    if before != b'\n' {
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn left(host: Host, deadline: u64) -> Result<Duration, Error> {
    let minute = Duration::from_secs(60);
    if deadline == 0 {
        return Ok(minute);
    }
    match deadline.checked_sub(host.now()) {
        Some(ns) if ns > 0 => Ok(Duration::from_nanos(ns).clamp(Duration::from_millis(1), minute)),
        _ => Err(ErrorKind::TimedOut.into()),
    }
}

opensend_plugin!(Lmtp, transport_table, "opensend.transport/1", "lmtp", "org.opensend.example.lmtp", "1.0.0");
