#include "plugins/smtp/client_session.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace opensend::smtp_plugin {
namespace {

constexpr size_t kMaxPreamble = 6 * 1024;
constexpr size_t kMaxShownReply = 1000;

std::string Base64(std::string_view text) {
    std::string out((text.size() + 2) / 3 * 4 + 1, '\0');
    const int length = EVP_EncodeBlock(
        reinterpret_cast<unsigned char*>(out.data()),
        reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size())
    );
    out.resize(static_cast<size_t>(length));
    return out;
}

bool EqualsFolded(std::string_view text, std::string_view upper) {
    return text.size() == upper.size() &&
           std::equal(text.begin(), text.end(), upper.begin(), [](char a, char b) {
               return (a >= 'a' && a <= 'z' ? static_cast<char>(a - 32) : a) == b;
           });
}

std::string_view TakeWord(std::string_view& text) {
    while (!text.empty() && (text[0] == ' ' || text[0] == '\t')) text.remove_prefix(1);
    const size_t end = std::min(text.find_first_of(" \t"), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(end);
    return word;
}

Verdict VerdictOf(const Reply& reply, Outcome outcome, Stage stage, Hint hint) {
    Verdict verdict;
    verdict.outcome = outcome;
    verdict.stage = stage;
    verdict.hint = hint;
    verdict.code = static_cast<uint16_t>(reply.code);
    verdict.enhanced = reply.enhanced;
    verdict.text = std::to_string(reply.code);
    verdict.text += ' ';
    AppendPrintable(verdict.text, reply.text, kMaxShownReply);
    return verdict;
}

Verdict VerdictOf(std::string_view text, Stage stage, Hint hint) {
    Verdict verdict;
    verdict.outcome = Outcome::kDeferred;
    verdict.stage = stage;
    verdict.hint = hint;
    verdict.text = text;
    return verdict;
}

void AddToTranscript(std::string& out, size_t limit, char who, std::string_view line) {
    if (out.size() + 4 >= limit) return;
    out += who;
    out += ": ";
    AppendPrintable(out, line, limit - out.size() - 1);
    out += '\n';
}

}  // namespace

ClientSession::ClientSession(SessionOptions options)
    : options_(std::move(options)),
      state_(options_.tls == TlsMode::kImplicit ? State::kTls : State::kGreeting) {}

ClientSession::~ClientSession() {
    Forget(options_.password);
    OPENSSL_cleanse(out_.data(), out_.size());
}

void ClientSession::Forget(std::string& secret) {
    OPENSSL_cleanse(secret.data(), secret.size());
    secret.clear();
}

Want ClientSession::want() const {
    if (state_ == State::kClosed) return Want::kClosed;
    if (state_ == State::kTls) return out_.empty() ? Want::kTls : Want::kReply;
    if (state_ == State::kReady && current_ == nullptr) return Want::kIdle;
    return Want::kReply;
}

Patience ClientSession::patience() const {
    if (state_ == State::kGreeting) return Patience::kGreeting;
    if (current_ == nullptr || !current_->body_issued) return Patience::kCommand;
    return BodyIsOut(*current_) ? Patience::kFinal : Patience::kBody;
}

std::string_view ClientSession::pending() const { return std::string_view(out_).substr(out_at_); }

void ClientSession::Wrote(size_t count) {
    constexpr size_t kKeptCapacity = 1 << 20;
    out_at_ += std::min(count, out_.size() - out_at_);
    if (out_at_ < out_.size()) return;
    base_ += out_.size();
    out_at_ = 0;
    if (CurrentStage() == Stage::kAuth) OPENSSL_cleanse(out_.data(), out_.size());
    out_.clear();
    if (out_.capacity() > kKeptCapacity) std::string().swap(out_);
}

void ClientSession::SendLine(std::string_view line, std::string_view shown) {
    out_ += line;
    out_ += "\r\n";
    AddToTranscript(preamble_, kMaxPreamble, 'C', shown);
}

void ClientSession::SendHello(std::string_view verb, State next) {
    line_ = verb;
    line_ += ' ';
    line_ += options_.helo;
    SendLine(line_, line_);
    state_ = next;
}

void ClientSession::OnBytes(std::string_view input) {
    while (!input.empty() && state_ != State::kClosed) {
        if (state_ == State::kTls) return;  // whatever came in clear after the go-ahead is not ours
        if (want() == Want::kIdle)
            return Unexpected(Stage::kEnd, "the server spoke unasked", nullptr);
        switch (parser_.Feed(input)) {
            case ReplyState::kIncomplete: return;
            case ReplyState::kMalformed:
                return Unexpected(CurrentStage(), parser_.problem(), nullptr);
            case ReplyState::kComplete: OnReply(parser_.reply()); break;
        }
    }
}

/// True when the text repeats what AUTH sent.
bool ClientSession::RepeatsCredentials(std::string_view text) const {
    if (CurrentStage() != Stage::kAuth) return false;
    std::string token(1, '\0');
    token += options_.username;
    token += '\0';
    token += options_.password;
    for (const std::string& secret :
         {options_.password, Base64(options_.password), Base64(token)}) {
        if (!secret.empty() && text.find(secret) != std::string_view::npos) return true;
    }
    return false;
}

void ClientSession::OnReply(const Reply& reply) {
    ++replies_;
    if (state_ == State::kReady) return OnMessageReply(reply);
    if (RepeatsCredentials(reply.text))
        return OnHandshakeReply({reply.code, reply.enhanced, "***"});
    OnHandshakeReply(reply);
}

void ClientSession::OnHandshakeReply(const Reply& reply) {
    std::string shown = std::to_string(reply.code);
    shown += ' ';
    AppendPrintable(shown, reply.text, kMaxShownReply);
    AddToTranscript(preamble_, kMaxPreamble, 'S', shown);
    if (!pending().empty()) return Unexpected(CurrentStage(), "an answer came too early", &reply);
    switch (state_) {
        case State::kGreeting: return OnGreeting(reply);
        case State::kEhlo: return OnEhlo(reply);
        case State::kHelo: return OnHelo(reply);
        case State::kStartTls: return OnStartTls(reply);
        case State::kAuthPlain:
        case State::kAuthLogin:
        case State::kAuthUser:
        case State::kAuthPassword: return OnAuth(reply);
        case State::kQuit: return Close(VerdictOf("closed", Stage::kEnd, Hint::kAuto));
        case State::kReady:
        case State::kTls:
        case State::kClosed: return;
    }
}

void ClientSession::Refused(const Reply& reply, Stage stage, Hint hint) {
    const bool refusal = reply.code >= 400;
    Close(VerdictOf(
        reply, Outcome::kDeferred, stage, reply.code == 421 || refusal ? hint : Hint::kProtocol
    ));
}

void ClientSession::OnGreeting(const Reply& reply) {
    if (reply.code != 220) return Refused(reply, Stage::kConnect, Hint::kAuto);
    SendHello("EHLO", State::kEhlo);
}

void ClientSession::OnEhlo(const Reply& reply) {
    if (reply.code == 250) {
        ReadOffers(reply.text);
        return AfterHello();
    }
    if (reply.code < 500) return Refused(reply, Stage::kEhlo, Hint::kAuto);
    SendHello("HELO", State::kHelo);
}

void ClientSession::OnHelo(const Reply& reply) {
    if (reply.code != 250) {
        return Refused(reply, Stage::kEhlo, reply.code >= 500 ? Hint::kProtocol : Hint::kAuto);
    }
    offers_ = {};
    AfterHello();
}

void ClientSession::ReadOffers(std::string_view text) {
    offers_ = {};
    size_t at = text.find('\n');  // the first line is the server's name
    while (at != std::string_view::npos) {
        const size_t next = text.find('\n', at + 1);
        std::string_view line =
            text.substr(at + 1, next == std::string_view::npos ? next : next - at - 1);
        at = next;
        std::string_view word = TakeWord(line);
        if (EqualsFolded(word, "PIPELINING")) offers_.pipelining = true;
        if (EqualsFolded(word, "8BITMIME")) offers_.eight_bit = true;
        if (EqualsFolded(word, "SMTPUTF8")) offers_.utf8 = true;
        if (EqualsFolded(word, "STARTTLS")) offers_.starttls = true;
        if (EqualsFolded(word, "SIZE")) {
            offers_.size = true;
            const std::string_view number = TakeWord(line);
            std::from_chars(number.data(), number.data() + number.size(), offers_.max_size);
        }
        const bool old_style = word.size() > 5 && EqualsFolded(word.substr(0, 5), "AUTH=");
        if (!old_style && !EqualsFolded(word, "AUTH")) continue;
        word = old_style ? word.substr(5) : TakeWord(line);
        for (; !word.empty(); word = TakeWord(line)) {
            if (EqualsFolded(word, "PLAIN")) offers_.auth_plain = true;
            if (EqualsFolded(word, "LOGIN")) offers_.auth_login = true;
        }
    }
}

void ClientSession::AfterHello() {
    if (!encrypted_ && options_.tls != TlsMode::kNone) {
        if (offers_.starttls) {
            SendLine("STARTTLS", "STARTTLS");
            state_ = State::kStartTls;
            return;
        }
        if (options_.tls == TlsMode::kRequired) {
            return Close(VerdictOf(
                "TLS is required and the server does not offer it", Stage::kTls, Hint::kAuthConfig
            ));
        }
    }
    if (options_.username.empty()) return BecomeReady();
    StartAuth();
}

void ClientSession::OnStartTls(const Reply& reply) {
    if (reply.code == 220) {
        offers_ = {};
        parser_.Reset();
        state_ = State::kTls;
        return;
    }
    if (reply.code == 421) return Refused(reply, Stage::kTls, Hint::kAuto);
    if (options_.tls == TlsMode::kRequired) {
        return Refused(
            reply, Stage::kTls, reply.code >= 500 ? Hint::kAuthConfig : Hint::kTemporary
        );
    }
    offers_.starttls = false;
    AfterHello();
}

void ClientSession::OnTls() {
    encrypted_ = true;
    AddToTranscript(preamble_, kMaxPreamble, '*', "TLS");
    if (options_.tls == TlsMode::kImplicit) {
        state_ = State::kGreeting;
        return;
    }
    SendHello("EHLO", State::kEhlo);
}

void ClientSession::StartAuth() {
    if (!encrypted_ && !options_.may_auth_in_clear) {
        return Close(
            VerdictOf("credentials are not sent without TLS", Stage::kAuth, Hint::kAuthConfig)
        );
    }
    if (offers_.auth_plain) {
        std::string token(1, '\0');
        token += options_.username;
        token += '\0';
        token += options_.password;
        std::string line = "AUTH PLAIN " + Base64(token);
        SendLine(line, "AUTH PLAIN ***");
        Forget(token);
        Forget(line);
        state_ = State::kAuthPlain;
    } else if (offers_.auth_login) {
        SendLine("AUTH LOGIN", "AUTH LOGIN");
        state_ = State::kAuthLogin;
    } else {
        Close(VerdictOf(
            "the server offers neither AUTH PLAIN nor AUTH LOGIN", Stage::kAuth, Hint::kAuthConfig
        ));
    }
}

void ClientSession::OnAuth(const Reply& reply) {
    if (reply.code == 235) return BecomeReady();
    if (reply.code == 334 && state_ == State::kAuthLogin) {
        SendLine(Base64(options_.username), "***");
        state_ = State::kAuthUser;
        return;
    }
    if (reply.code == 334 && state_ == State::kAuthUser) {
        std::string secret = Base64(options_.password);
        SendLine(secret, "***");
        Forget(secret);
        state_ = State::kAuthPassword;
        return;
    }
    Refused(reply, Stage::kAuth, reply.code < 500 ? Hint::kTemporary : Hint::kAuto);
}

void ClientSession::BecomeReady() {
    Forget(options_.password);
    state_ = State::kReady;
}

void ClientSession::Quit() {
    if (want() != Want::kIdle) return;
    SendLine("QUIT", "QUIT");
    state_ = State::kQuit;
}

Stage ClientSession::CurrentStage() const {
    switch (state_) {
        case State::kGreeting: return Stage::kConnect;
        case State::kEhlo:
        case State::kHelo: return Stage::kEhlo;
        case State::kStartTls:
        case State::kTls: return Stage::kTls;
        case State::kAuthPlain:
        case State::kAuthLogin:
        case State::kAuthUser:
        case State::kAuthPassword: return Stage::kAuth;
        case State::kReady:
        case State::kQuit:
        case State::kClosed: break;
    }
    if (expected_at_ >= expected_.size()) return Stage::kEnd;
    switch (expected_[expected_at_].verb) {
        case Verb::kReset:
        case Verb::kMail: return Stage::kMail;
        case Verb::kRcpt: return Stage::kRcpt;
        case Verb::kData: return Stage::kData;
        case Verb::kEnd:
            return current_ != nullptr && BodyIsOut(*current_) ? Stage::kEnd : Stage::kData;
    }
    return Stage::kEnd;
}

void ClientSession::OnClosed(std::string_view why, Hint hint) {
    if (state_ == State::kClosed) return;
    const Stage stage = CurrentStage();
    if (stage == Stage::kAuth && hint == Hint::kAuto) hint = Hint::kTemporary;
    if (current_ != nullptr && !current_->replied && !current_->body_issued)
        current_->untouched = true;
    Close(VerdictOf(why, stage, hint));
}

void ClientSession::Unexpected(Stage stage, std::string_view why, const Reply* reply) {
    Verdict verdict = VerdictOf(why, stage, Hint::kProtocol);
    if (reply != nullptr) {
        verdict = VerdictOf(*reply, Outcome::kDeferred, stage, Hint::kProtocol);
        verdict.text.insert(0, ": ").insert(0, why);
    }
    Close(std::move(verdict));
}

void ClientSession::Close(Verdict why) {
    state_ = State::kClosed;
    failure_ = std::move(why);
    if (current_ == nullptr) return;
    AddToTranscript(current_->transcript, kMaxTranscript, '*', failure_.text);
    for (Verdict& verdict : current_->verdicts) {
        if (verdict.outcome != Outcome::kOpen) continue;
        verdict = failure_;
        // A refusal with a code is an answer; silence after the body is not.
        const bool answered = failure_.code >= 400 && failure_.hint != Hint::kProtocol;
        if (BodyIsOut(*current_) && !answered) {
            verdict.outcome = Outcome::kIndeterminate;
            verdict.stage = Stage::kEnd;
            verdict.hint = Hint::kAuto;
        }
    }
    current_->finished = true;
    current_ = follower_ = nullptr;  // the follower stays undecided: nothing of it was answered
}

}  // namespace opensend::smtp_plugin
