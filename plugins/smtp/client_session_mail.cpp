#include <algorithm>
#include <string>
#include <utility>

#include "plugins/smtp/client_session.h"

namespace opensend::smtp_plugin {
namespace {

constexpr size_t kMaxReplyText = 1000;

/// Writes into `verdict` in place: its text keeps its capacity from message to message.
void SetVerdict(Verdict& verdict, const Reply& reply, Outcome outcome, Stage stage) {
    verdict.outcome = outcome;
    verdict.stage = stage;
    verdict.hint = Hint::kAuto;
    verdict.code = static_cast<uint16_t>(reply.code);
    verdict.enhanced = reply.enhanced;
    verdict.text = std::to_string(reply.code);
    verdict.text += ' ';
    AppendPrintable(verdict.text, reply.text, kMaxReplyText);
}

void SetOpen(Transaction& message, const Reply& reply, Outcome outcome, Stage stage) {
    for (Verdict& verdict : message.verdicts) {
        if (verdict.outcome == Outcome::kOpen) SetVerdict(verdict, reply, outcome, stage);
    }
}

void RefuseOpen(Transaction& message, const Reply& reply, Stage stage) {
    SetOpen(message, reply, Outcome::kRejected, stage);
}

Outcome OutcomeOf(const Reply& reply) {
    return reply.code >= 500 ? Outcome::kRejected : Outcome::kDeferred;
}

/// Answers that speak of our dialogue and not of the message.
bool IsNoVerdict(int code) { return code < 400 || code == 500 || code == 502 || code == 503; }

void Note(Transaction& message, std::string_view who, std::string_view line) {
    std::string& out = message.transcript;
    if (out.size() + 8 >= kMaxTranscript) return;
    out += who;
    AppendPrintable(out, line, kMaxTranscript - out.size() - 1);
    out += '\n';
}

const Reply kBadSender{
    553, {5, 1, 7},
     "the sender address cannot be sent"
};
const Reply kBadRecipient{
    553, {5, 1, 3},
     "the recipient address cannot be sent"
};
const Reply kNoUtf8{
    550, {5, 6, 7},
     "the server does not offer SMTPUTF8"
};
const Reply kNoEightBit{
    554, {5, 6, 3},
     "the server does not offer 8BITMIME"
};
const Reply kNeedsTls{
    454, {4, 7, 4},
     "the message must not travel in clear and the connection is not encrypted"
};
const Reply kTooBig{
    552, {5, 3, 4},
     "the message exceeds the size the server accepts"
};

}  // namespace

void ClientSession::RefuseLocally(Transaction& message) {
    message.verdicts.resize(message.rcpts.size());
    if (!message.mail_from.empty() && !IsSafeAddress(message.mail_from)) {
        RefuseOpen(message, kBadSender, Stage::kMail);
    }
    for (size_t i = 0; i < message.rcpts.size(); ++i) {
        Verdict& verdict = message.verdicts[i];
        if (verdict.outcome == Outcome::kOpen && !IsSafeAddress(message.rcpts[i])) {
            SetVerdict(verdict, kBadRecipient, Outcome::kRejected, Stage::kRcpt);
        }
    }
    if (message.needs_tls && !encrypted_) {
        SetOpen(message, kNeedsTls, Outcome::kDeferred, Stage::kTls);
    }
    RefuseForEightBit(message);
    if (offers_.max_size > 0 && message.data.size() > offers_.max_size) {
        RefuseOpen(message, kTooBig, Stage::kMail);
    }
    message.finished =
        std::none_of(message.verdicts.begin(), message.verdicts.end(), [](const Verdict& verdict) {
            return verdict.outcome == Outcome::kOpen;
        });
}

void ClientSession::RefuseForEightBit(Transaction& message) {
    const EightBit found = FindEightBit(message.data);
    message.has_8bit = found.in_header || found.in_body;
    message.needs_utf8 = found.in_header || !IsAscii(message.mail_from);
    if (message.needs_utf8 && !offers_.utf8) RefuseOpen(message, kNoUtf8, Stage::kMail);
    for (size_t i = 0; i < message.rcpts.size(); ++i) {
        Verdict& verdict = message.verdicts[i];
        if (verdict.outcome != Outcome::kOpen || IsAscii(message.rcpts[i])) continue;
        if (offers_.utf8) {
            message.needs_utf8 = true;
        } else {
            SetVerdict(verdict, kNoUtf8, Outcome::kRejected, Stage::kRcpt);
        }
    }
    if (found.in_body && !offers_.eight_bit) RefuseOpen(message, kNoEightBit, Stage::kMail);
}

void ClientSession::Begin(Transaction& message) {
    RefuseLocally(message);
    if (!message.finished) Start(message);
}

void ClientSession::Start(Transaction& message) {
    current_ = &message;
    if (message.step == Transaction::Step::kReset) Continue(message);
}

void ClientSession::Follow(Transaction& message) {
    if (current_ == nullptr) return Begin(message);
    RefuseLocally(message);
    if (message.finished) return;
    follower_ = &message;
    if (!offers_.pipelining || !current_->body_issued) return;
    while (IssueNext(message)) {
    }
}

void ClientSession::Issue(Transaction& message, Verb verb, std::string_view line, size_t rcpt) {
    out_ += line;
    out_ += "\r\n";
    Note(message, "C: ", line);
    expected_.push_back({verb, rcpt, issued()});
}

void ClientSession::IssueMail(Transaction& message) {
    line_ = "MAIL FROM:<";
    line_ += message.mail_from;
    line_ += '>';
    if (offers_.size) {
        line_ += " SIZE=";
        line_ += std::to_string(message.data.size());
    }
    if (message.has_8bit && offers_.eight_bit) line_ += " BODY=8BITMIME";
    if (message.needs_utf8) line_ += " SMTPUTF8";
    Issue(message, Verb::kMail, line_, 0);
}

bool ClientSession::IssueNext(Transaction& message) {
    using Step = Transaction::Step;
    if (message.step == Step::kReset) {
        message.step = Step::kMail;
        if (std::exchange(needs_reset_, false)) {
            Issue(message, Verb::kReset, "RSET", 0);
            return true;
        }
    }
    if (message.step == Step::kMail) {
        message.step = Step::kRcpt;
        IssueMail(message);
        return true;
    }
    if (message.step == Step::kRcpt) {
        size_t& next = message.next_rcpt;
        while (next < message.rcpts.size() && message.verdicts[next].outcome != Outcome::kOpen) {
            ++next;
        }
        if (next < message.rcpts.size()) {
            line_ = "RCPT TO:<";
            line_ += message.rcpts[next];
            line_ += '>';
            Issue(message, Verb::kRcpt, line_, next);
            ++next;
            return true;
        }
        message.step = Step::kData;
    }
    if (message.step == Step::kData) {
        message.step = Step::kDone;
        Issue(message, Verb::kData, "DATA", 0);
        return true;
    }
    return false;
}

/// Issues what may be issued now: the whole envelope, or its next command where the server does
/// not pipeline. A transaction that cannot reach DATA any more ends here.
void ClientSession::Continue(Transaction& message) {
    if (offers_.pipelining) {
        while (IssueNext(message)) {
        }
        return;
    }
    using Step = Transaction::Step;
    const bool mail_refused = message.step == Step::kRcpt && !message.mail_ok;
    const bool open_left =
        std::any_of(message.verdicts.begin(), message.verdicts.end(), [](const Verdict& verdict) {
            return verdict.outcome == Outcome::kOpen;
        });
    if (mail_refused || !open_left) {
        needs_reset_ = true;
        return Finish();
    }
    IssueNext(message);
}

bool ClientSession::BodyIsOut(const Transaction& message) const {
    // Without the very last octet a lenient server may already see the final dot line.
    return message.body_issued && written() + 1 >= message.body_end;
}

void ClientSession::IssueBody(Transaction& message) {
    if (message.accepted == 0) {
        out_ += ".\r\n";
        Note(message, "C: ", ". (no recipient was accepted)");
    } else {
        AppendStuffed(out_, message.data);
        Note(message, "C: ", "(message of " + std::to_string(message.data.size()) + " octets)");
    }
    message.body_issued = true;
    message.body_end = issued();
    expected_.push_back({Verb::kEnd, 0, issued()});
    if (follower_ == nullptr || !offers_.pipelining) return;
    while (IssueNext(*follower_)) {
    }
}

void ClientSession::OnMessageReply(const Reply& reply) {
    Transaction& message = *current_;
    line_ = std::to_string(reply.code);
    line_ += ' ';
    line_ += reply.text;
    Note(message, "S: ", line_);
    const Stage stage = CurrentStage();
    if (expected_at_ == expected_.size()) return Unexpected(stage, "an answer to nothing", &reply);
    const Expected expected = expected_[expected_at_++];
    if (expected_at_ == expected_.size()) {
        expected_.clear();
        expected_at_ = 0;
    }
    const bool early = expected.sent_end > written();
    if (reply.code == 421) {
        // Said before it heard of this message: the idle limit of a kept connection.
        message.untouched = early && !message.replied && expected.verb == Verb::kMail;
        Verdict verdict;
        SetVerdict(verdict, reply, Outcome::kDeferred, stage);
        return Close(std::move(verdict));
    }
    if (early && expected.verb != Verb::kEnd) {
        return Unexpected(stage, "an answer came too early", &reply);
    }
    if (expected.verb != Verb::kReset) message.replied = true;
    switch (expected.verb) {
        case Verb::kReset:
            message.untouched = reply.code != 250;
            if (message.untouched) return Unexpected(stage, "RSET was refused", &reply);
            return offers_.pipelining ? void() : Continue(message);
        case Verb::kMail: return OnMail(message, reply);
        case Verb::kRcpt: return OnRcpt(message, reply, expected.rcpt);
        case Verb::kData: return OnData(message, reply);
        case Verb::kEnd: return OnEnd(message, reply, early);
    }
}

void ClientSession::OnMail(Transaction& message, const Reply& reply) {
    message.mail_ok = reply.code == 250;
    if (!message.mail_ok) {
        if (IsNoVerdict(reply.code)) {
            return Unexpected(Stage::kMail, "unexpected answer to MAIL", &reply);
        }
        SetOpen(message, reply, OutcomeOf(reply), Stage::kMail);
    }
    if (!offers_.pipelining) Continue(message);
}

void ClientSession::OnRcpt(Transaction& message, const Reply& reply, size_t rcpt) {
    if (message.mail_ok) {
        if (reply.code >= 250 && reply.code <= 252) {
            ++message.accepted;
        } else if (IsNoVerdict(reply.code)) {
            return Unexpected(Stage::kRcpt, "unexpected answer to RCPT", &reply);
        } else {
            SetVerdict(message.verdicts[rcpt], reply, OutcomeOf(reply), Stage::kRcpt);
        }
    }
    if (!offers_.pipelining) Continue(message);
}

void ClientSession::OnData(Transaction& message, const Reply& reply) {
    if (reply.code == 354) return IssueBody(message);
    if (message.accepted > 0) {
        if (IsNoVerdict(reply.code)) {
            return Unexpected(Stage::kData, "unexpected answer to DATA", &reply);
        }
        SetOpen(message, reply, OutcomeOf(reply), Stage::kData);
    } else if (reply.code < 400) {
        return Unexpected(Stage::kData, "unexpected answer to DATA", &reply);
    }
    needs_reset_ = true;
    Finish();
}

void ClientSession::OnEnd(Transaction& message, const Reply& reply, bool early) {
    const bool success = reply.code >= 200 && reply.code < 300;
    if (message.accepted > 0) {
        if (reply.code >= 300 && reply.code < 400) {
            return Unexpected(Stage::kEnd, "unexpected answer to the message", &reply);
        }
        if (early && success) {
            return Unexpected(Stage::kData, "an answer came before the end of the message", &reply);
        }
        SetOpen(message, reply, success ? Outcome::kAccepted : OutcomeOf(reply), Stage::kEnd);
    }
    if (!early) return Finish();
    // The rest of the body would be read as commands.
    Verdict verdict;
    SetVerdict(verdict, reply, Outcome::kDeferred, Stage::kData);
    Close(std::move(verdict));
}

void ClientSession::Finish() {
    current_->finished = true;
    current_ = std::exchange(follower_, nullptr);
    if (current_ != nullptr) Start(*current_);
}

bool ClientSession::Cancel() {
    if (current_ == nullptr || BodyIsOut(*current_)) return false;
    for (Verdict& verdict : current_->verdicts) {
        if (verdict.outcome == Outcome::kOpen) verdict.outcome = Outcome::kCancelled;
    }
    OnClosed("cancelled");
    return true;
}

}  // namespace opensend::smtp_plugin
