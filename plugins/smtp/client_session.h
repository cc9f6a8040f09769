#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/smtp/message.h"
#include "plugins/smtp/reply.h"

namespace opensend::smtp_plugin {

enum class TlsMode { kOpportunistic = 1, kRequired, kNone, kImplicit };

struct SessionOptions {
    TlsMode tls = TlsMode::kOpportunistic;
    std::string helo = "localhost";
    std::string username;  // empty: no AUTH
    std::string password;
    bool may_auth_in_clear = false;
};

/// What the session waits for: bytes from the server, the driver's TLS handshake, a message,
/// nothing.
enum class Want { kReply = 1, kTls, kIdle, kClosed };
/// Which of the protocol's time limits holds for the next byte.
enum class Patience { kGreeting = 1, kCommand, kBody, kFinal };

/// The client side of one SMTP connection without the connection: bytes in, bytes out, verdicts.
/// It opens no socket and reads no clock. Not safe for several threads.
class ClientSession {
public:
    explicit ClientSession(SessionOptions options);
    ~ClientSession();
    ClientSession(const ClientSession&) = delete;
    ClientSession& operator=(const ClientSession&) = delete;

    [[nodiscard]] Want want() const;
    [[nodiscard]] Patience patience() const;

    /// Bytes to write; Wrote(n) says that the first n of them left.
    [[nodiscard]] std::string_view pending() const;
    void Wrote(size_t count);

    void OnBytes(std::string_view input);
    /// The handshake asked for by Want::kTls succeeded; the stream is encrypted from here on.
    void OnTls();
    /// The connection is gone or given up. Decides every message in flight: open recipients are
    /// indeterminate once the whole body may have been read by the server, otherwise deferred.
    void OnClosed(std::string_view why, Hint hint = Hint::kAuto);
    /// Gives the current message up as cancelled unless its body is already out: false then.
    bool Cancel();

    /// Starts `message` (want() is kIdle). It is decided when message.finished is set.
    void Begin(Transaction& message);
    /// Names the message after the current one. Where the server pipelines, its envelope travels
    /// with the current body; otherwise it starts when the current one is done.
    void Follow(Transaction& message);
    [[nodiscard]] const Transaction* current() const { return current_; }
    [[nodiscard]] const Transaction* follower() const { return follower_; }

    /// Says good-bye; want() is kClosed after the answer.
    void Quit();

    /// Why the connection cannot be used; meaningful when want() is kClosed.
    [[nodiscard]] const Verdict& failure() const { return failure_; }
    /// The dialogue up to readiness, without credentials.
    [[nodiscard]] const std::string& preamble() const { return preamble_; }
    [[nodiscard]] bool is_encrypted() const { return encrypted_; }
    /// Whole answers seen so far.
    [[nodiscard]] uint64_t replies() const { return replies_; }

private:
    enum class State {
        kGreeting = 1,
        kEhlo,
        kHelo,
        kStartTls,
        kTls,
        kAuthPlain,
        kAuthLogin,
        kAuthUser,
        kAuthPassword,
        kReady,
        kQuit,
        kClosed,
    };
    enum class Verb { kReset = 1, kMail, kRcpt, kData, kEnd };
    struct Expected {
        Verb verb;
        size_t rcpt;
        uint64_t sent_end;  // offset in the output after the bytes it answers
    };
    struct Offers {
        bool pipelining = false, size = false, eight_bit = false, utf8 = false, starttls = false;
        bool auth_plain = false, auth_login = false;
        uint64_t max_size = 0;
    };

    // The way to readiness.
    void OnReply(const Reply& reply);
    void OnHandshakeReply(const Reply& reply);
    bool RepeatsCredentials(std::string_view text) const;
    void OnGreeting(const Reply& reply);
    void OnEhlo(const Reply& reply);
    void OnHelo(const Reply& reply);
    void OnStartTls(const Reply& reply);
    void OnAuth(const Reply& reply);
    void ReadOffers(std::string_view text);
    void AfterHello();
    void StartAuth();
    void SendHello(std::string_view verb, State next);
    void SendLine(std::string_view line, std::string_view shown);
    void Refused(const Reply& reply, Stage stage, Hint hint);
    void BecomeReady();
    void Forget(std::string& secret);

    // Messages.
    void RefuseLocally(Transaction& message);
    void RefuseForEightBit(Transaction& message);
    void Start(Transaction& message);
    bool IssueNext(Transaction& message);
    void IssueMail(Transaction& message);
    void IssueBody(Transaction& message);
    void Issue(Transaction& message, Verb verb, std::string_view line, size_t rcpt);
    void OnMessageReply(const Reply& reply);
    void OnMail(Transaction& message, const Reply& reply);
    void OnRcpt(Transaction& message, const Reply& reply, size_t rcpt);
    void OnData(Transaction& message, const Reply& reply);
    void OnEnd(Transaction& message, const Reply& reply, bool early);
    void Continue(Transaction& message);
    void Finish();
    bool BodyIsOut(const Transaction& message) const;
    void Unexpected(Stage stage, std::string_view why, const Reply* reply);
    void Close(Verdict why);
    Stage CurrentStage() const;
    uint64_t written() const { return base_ + out_at_; }
    uint64_t issued() const { return base_ + out_.size(); }

    SessionOptions options_;
    State state_;
    ReplyParser parser_;
    Offers offers_;
    std::string out_;
    size_t out_at_ = 0;
    uint64_t replies_ = 0;
    uint64_t base_ = 0;  // offset of out_[0] in everything ever issued
    bool encrypted_ = false;
    bool needs_reset_ = false;
    std::string preamble_;
    Verdict failure_;
    Transaction* current_ = nullptr;
    Transaction* follower_ = nullptr;
    std::vector<Expected> expected_;
    size_t expected_at_ = 0;
    std::string line_;  // reused for each command
};

}  // namespace opensend::smtp_plugin
