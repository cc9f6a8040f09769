#include <algorithm>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "plugins/smtp/client_session.h"
#include "tests/support/smtp_dialogue.h"

namespace opensend::smtp_plugin {
namespace {

struct Step {
    const char* client;  // what must be written before, CRLF shown as |; empty: nothing
    const char* server;  // the answer; "EOF" closes, "TLS" finishes the handshake
};

struct Dialogue {
    const char* name;
    std::vector<Step> steps;
    const char* outcomes;
    Stage stage = Stage::kEnd;  // of the last recipient's verdict
    int code = 0;
    Hint hint = Hint::kAuto;
    Want want = Want::kIdle;
    int rcpts = 1;
    std::string body = kBody;
    std::string from = "s@x.example";
    SessionOptions options = {};
    std::string rcpt = "r@y.example";
};

class Player {
public:
    explicit Player(const Dialogue& dialogue, size_t fragment)
        : fragment_(fragment), session_(dialogue.options) {
        for (int i = 0; i < dialogue.rcpts; ++i) {
            addresses_.push_back(i == 0 ? dialogue.rcpt : "r" + std::to_string(i) + "@y.example");
        }
        message.mail_from = dialogue.from;
        for (const std::string& address : addresses_) message.rcpts.push_back(address);
        message.data = dialogue.body;
        message.Rewind();
        for (const Step& step : dialogue.steps) Play(step);
        Flush();
    }

    Transaction message;
    ClientSession& session() { return session_; }
    std::string unread() { return Bars(wire_); }

private:
    void Flush() {
        if (session_.want() == Want::kIdle && !begun_) {
            begun_ = true;
            session_.Begin(message);
        }
        wire_ += session_.pending();
        session_.Wrote(session_.pending().size());
    }

    void Play(const Step& step) {
        Flush();
        EXPECT_EQ(Bars(wire_), step.client);
        wire_.clear();
        std::string_view server = step.server;
        if (server == "EOF") return session_.OnClosed("the server closed the connection");
        if (server == "TLS") {
            EXPECT_EQ(session_.want(), Want::kTls);
            return session_.OnTls();
        }
        while (!server.empty()) {
            const size_t count = std::min(fragment_, server.size());
            session_.OnBytes(server.substr(0, count));
            server.remove_prefix(count);
            // Byte by byte a pipelined answer meets what was just issued.
            if (fragment_ < 100) Flush();
        }
    }

    size_t fragment_;
    std::deque<std::string> addresses_;
    std::string wire_;
    ClientSession session_;
    bool begun_ = false;
};

SessionOptions WithTls(TlsMode mode) {
    SessionOptions options;
    options.tls = mode;
    return options;
}

SessionOptions WithAuth(bool in_clear, TlsMode mode = TlsMode::kNone) {
    SessionOptions options;
    options.tls = mode;
    options.username = "user";
    options.password = "pass";
    options.may_auth_in_clear = in_clear;
    return options;
}

constexpr const char* kEnvelope3 =
    "MAIL FROM:<s@x.example> SIZE=21|RCPT TO:<r@y.example>|RCPT TO:<r1@y.example>|"
    "RCPT TO:<r2@y.example>|DATA|";
Step Greet() { return {"", "220 mx ESMTP\r\n"}; }
Step Ehlo(const char* answer = kEhloAll) { return {"EHLO localhost|", answer}; }

std::vector<Dialogue> HandshakeDialogues() {
    const Stage kGreeting = Stage::kConnect;
    const Want kClosed = Want::kClosed;
    const char* tls_ehlo = "250-mx\r\n250-PIPELINING\r\n250 STARTTLS\r\n";
    const char* both = "250-mx\r\n250-PIPELINING\r\n250 AUTH LOGIN PLAIN\r\n";
    const char* login = "250-mx\r\n250-PIPELINING\r\n250 AUTH LOGIN\r\n";
    const char* body = "Subject: x||hello|.|";
    const char* envelope = "MAIL FROM:<s@x.example>|RCPT TO:<r@y.example>|DATA|";
    const char* ok3 = "250 m\r\n250 r\r\n354 go\r\n";
    const char* plain = "AUTH PLAIN AHVzZXIAcGFzcw==|";
    return {
#include "plugins/smtp/handshake_dialogues.inc"
    };
}

std::vector<Dialogue> MessageDialogues() {
    const Want kClosed = Want::kClosed;
    const char* step_ok = "250 ok\r\n";
    std::vector<Dialogue> all = {
#include "plugins/smtp/message_dialogues.inc"
    };
    const std::string long_line = "250 " + std::string(3000, 'x') + "\r\n";
    static const std::string* const kLong = new std::string(long_line);
    all.push_back({
        "oversized answer",
        {Greet(), Ehlo(), {kEnvelope, kLong->c_str()}},
        "D",
        Stage::kMail,
        0,
        Hint::kProtocol,
        kClosed
    });
    return all;
}
void PlayAll(const std::vector<Dialogue>& dialogues, size_t fragment) {
    for (const Dialogue& dialogue : dialogues) {
        SCOPED_TRACE(dialogue.name);
        Player player(dialogue, fragment);
        Transaction& message = player.message;
        EXPECT_EQ(player.session().want(), dialogue.want);
        const bool reached = message.finished;
        const Verdict& verdict = reached ? message.verdicts.back() : player.session().failure();
        if (reached) {
            EXPECT_EQ(Letters(message), dialogue.outcomes);
        } else {
            EXPECT_EQ(verdict.outcome, Outcome::kDeferred);
            EXPECT_STREQ(dialogue.outcomes, "D");
        }
        EXPECT_EQ(verdict.stage, dialogue.stage);
        EXPECT_EQ(verdict.code, dialogue.code) << verdict.text;
        EXPECT_EQ(verdict.hint, dialogue.hint) << verdict.text;
        EXPECT_EQ(player.unread(), "");
        EXPECT_EQ(player.session().preamble().find("cGFzcw"), std::string::npos);
        EXPECT_EQ(player.session().preamble().find("AHVzZXIAcGFzcw"), std::string::npos);
        EXPECT_EQ(verdict.text.find("cGFzcw"), std::string::npos);
        EXPECT_LE(message.transcript.size(), kMaxTranscript);
    }
}

TEST(ClientSession, PlaysEveryHandshake) {
    for (const size_t fragment : {size_t{10000}, size_t{1}, size_t{7}}) {
        PlayAll(HandshakeDialogues(), fragment);
    }
}

TEST(ClientSession, PlaysEveryMessage) {
    for (const size_t fragment : {size_t{10000}, size_t{1}, size_t{7}}) {
        PlayAll(MessageDialogues(), fragment);
    }
}

}  // namespace
}  // namespace opensend::smtp_plugin
