#include "kernel/plugin/check/calls.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "kernel/plugin/load/import.h"

namespace opensend::plugin_check {
namespace {

/// Pages for the views of one request. Closed pages let a late read fault.
class Pages {
public:
    explicit Pages(size_t room) {
        const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        size_ = (room + 4096 + page - 1) / page * page;
        place_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (place_ == MAP_FAILED) throw std::bad_alloc();
    }
    ~Pages() { munmap(place_, size_); }
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;
    void Close() const { mprotect(place_, size_, PROT_NONE); }

    void* Take(size_t n) {
        used_ = (used_ + 15) / 16 * 16;
        Require(used_ + n <= size_, "the check's own pages are too small");
        void* at = static_cast<char*>(place_) + used_;
        used_ += n;
        return at;
    }
    osp_str Text(std::string_view text) {
        if (text.empty()) return {nullptr, 0};
        void* to = Take(text.size());
        std::memcpy(to, text.data(), text.size());
        return {static_cast<const char*>(to), text.size()};
    }
    osp_bytes Bytes(std::string_view bytes) {
        const osp_str text = Text(bytes);
        return {static_cast<const uint8_t*>(static_cast<const void*>(text.ptr)), text.len};
    }
    osp_kv* Pairs(const std::vector<std::pair<std::string, std::string>>& pairs) {
        auto* out = static_cast<osp_kv*>(Take((pairs.size() + 1) * sizeof(osp_kv)));
        for (size_t i = 0; i < pairs.size(); ++i)
            out[i] = {Text(pairs[i].first), Text(pairs[i].second)};
        return out;
    }

private:
    void* place_;
    size_t size_, used_ = 0;
};

/// n structs with `extra` bytes of noise behind each.
template <class T>
class Spaced {
public:
    Spaced(size_t n, size_t extra)
        : stride_(sizeof(T) + (extra + 7) / 8 * 8), bytes_(n * stride_, 0x5a) {}
    T& operator[](size_t i) {
        return *static_cast<T*>(static_cast<void*>(bytes_.data() + i * stride_));
    }
    uint32_t stride() const { return static_cast<uint32_t>(stride_); }
    bool IntactBetween() const {
        for (size_t i = 0; i < bytes_.size(); ++i) {
            if (i % stride_ >= sizeof(T) && bytes_[i] != 0x5a) return false;
        }
        return true;
    }

private:
    size_t stride_;
    std::vector<unsigned char> bytes_;
};

osp_time DeadlineIn(Trial& trial, int64_t ms) {
    const int64_t at = static_cast<int64_t>(trial.host.Time()) + ms * 1'000'000;
    return static_cast<osp_time>(std::max<int64_t>(at, 1));
}

/// Closes the pages of a token when it is completed.
class Closing {
public:
    explicit Closing(Trial& trial) : trial_(trial) {
        // Calls side by side leave the host's hook alone.
        if (!trial.revokes_views) return;
        trial.host.after_complete = [this](osp_token token) {
            const auto found = pages_.find(token);
            if (found != pages_.end()) found->second->Close();
        };
    }
    ~Closing() {
        if (trial_.revokes_views) trial_.host.after_complete = nullptr;
    }
    Closing(const Closing&) = delete;
    Closing& operator=(const Closing&) = delete;
    Pages& Add(osp_token token, size_t room) {
        return *(pages_[token] = std::make_unique<Pages>(room));
    }

private:
    Trial& trial_;
    std::map<osp_token, std::unique_ptr<Pages>> pages_;
};

void FillMessage(Trial& trial, const Mail& mail, Pages& pages, osp_msg& msg, osp_token token) {
    const size_t stride = sizeof(osp_rcpt) + (trial.stride_extra + 7) / 8 * 8;
    auto* rcpts = static_cast<unsigned char*>(pages.Take((mail.rcpts.size() + 1) * stride));
    std::memset(rcpts, 0x5a, mail.rcpts.size() * stride);
    for (size_t i = 0; i < mail.rcpts.size(); ++i) {
        osp_rcpt rcpt{};
        rcpt.size = sizeof rcpt;
        rcpt.addr = pages.Text(mail.rcpts[i]);
        std::memcpy(rcpts + i * stride, &rcpt, sizeof rcpt);
    }
    msg = osp_msg{};
    msg.size = static_cast<uint32_t>(sizeof msg + trial.request_extra);
    msg.token = token;
    msg.id = pages.Text(mail.id);
    msg.tenant = pages.Text("tenant-1");
    msg.mail_from = pages.Text(mail.from);
    msg.rcpts = static_cast<const osp_rcpt*>(static_cast<const void*>(rcpts));
    msg.n_rcpts = static_cast<uint32_t>(mail.rcpts.size());
    msg.rcpt_stride = static_cast<uint32_t>(stride);
    msg.data = pages.Bytes(mail.data);
    msg.total_size = mail.data.size();
    msg.attempt = 1;
    msg.deadline = DeadlineIn(trial, mail.deadline_ms);
}

size_t RoomOf(const Mail& mail) {
    size_t room = mail.data.size() + mail.from.size() + mail.id.size() + 8192;
    for (const std::string& rcpt : mail.rcpts) room += rcpt.size() + 1024;
    return room;
}

/// Runs a call into the plugin between the trial's hooks.
template <class F>
osp_status Timed(Trial& trial, F&& call) {
    if (trial.before_call) trial.before_call();
    const osp_status status = call();
    if (trial.after_call) trial.after_call();
    return status;
}

Asked Collect(
    Trial& trial, osp_token token, osp_status status, const GuardedError& error, osp_time before
) {
    Asked asked;
    asked.status = status;
    asked.token = token;
    asked.error_intact = error.IntactBehind();
    asked.answered = status >= 0 ? Await(trial, token, 3000) : trial.host.IsCompleted(token);
    asked.took_ns = CheckHost::Monotonic() - before;
    asked.answer = trial.host.AnswerOf(token);
    return asked;
}

template <class Table>
Table& Sized(Trial& trial, Spaced<Table>& place) {
    place[0] = Table{};
    place[0].size = static_cast<uint32_t>(sizeof(Table) + trial.request_extra);
    return place[0];
}

void FillBuckets(Trial& trial, const std::vector<Bucket>& buckets, Spaced<osp_rl_req>& out) {
    for (size_t i = 0; i < buckets.size(); ++i) {
        out[i] = osp_rl_req{};
        out[i].size = static_cast<uint32_t>(sizeof out[i] + trial.request_extra);
        out[i].flags = buckets[i].flags;
        out[i].group = buckets[i].group;
        out[i].cost = buckets[i].cost;
        out[i].processes = 1;
        out[i].key = osp::Str(buckets[i].key);
        out[i].emission_us = buckets[i].emission_us;
        out[i].burst_us = buckets[i].burst_us;
    }
}

}  // namespace

Mail PlainMail(const std::string& id) {
    Mail mail;
    mail.id = id;
    mail.data = base::Cat(
        "From: sender@example.com\r\nTo: rcpt@example.net\r\nMessage-ID: <", id,
        "@example.com>\r\nSubject: check\r\n\r\nbody-marker-51c7\r\n"
    );
    return mail;
}

bool Await(Trial& trial, osp_token token, int64_t ms) {
    for (int64_t waited = 0; waited <= ms; waited += 10) {
        trial.services.RunPending();
        if (trial.host.Wait(token, 10)) return true;
    }
    return false;
}

Sent Send(Trial& trial, Life& life, const std::vector<Mail>& mails) {
    const Kind& kind = trial.kind();
    Closing closing(trial);
    Spaced<osp_msg> messages(
        mails.size(), std::max<size_t>(trial.stride_extra, trial.request_extra)
    );
    Sent sent;
    int64_t wait_ms = 500;
    for (size_t i = 0; i < mails.size(); ++i) {
        const osp_token token = trial.host.Open(TokenKind::kTransport);
        sent.tokens.push_back(token);
        FillMessage(trial, mails[i], closing.Add(token, RoomOf(mails[i])), messages[i], token);
        wait_ms = std::max(wait_ms, mails[i].deadline_ms + 500);
    }
    const osp_batch batch{
        sizeof batch, 0, &messages[0], static_cast<uint32_t>(mails.size()), messages.stride()};
    GuardedError error;
    const osp_time before = CheckHost::Monotonic();
    const bool blocking =
        kind.transport.send != nullptr && (!trial.by_submit || kind.transport.submit == nullptr);
    sent.status = Timed(trial, [&] {
        return (blocking ? kind.transport.send : kind.transport.submit)(
            life.inst(), &batch, &error.error
        );
    });
    sent.took_ms = static_cast<int64_t>((CheckHost::Monotonic() - before) / 1'000'000);
    for (const osp_token token : sent.tokens)
        sent.open_after_return += trial.host.IsCompleted(token) ? 0u : 1u;
    for (const osp_token token : sent.tokens) {
        sent.answered.push_back(
            !blocking && sent.status >= 0 ? Await(trial, token, wait_ms)
                                          : trial.host.IsCompleted(token)
        );
        sent.answers.push_back(trial.host.AnswerOf(token));
    }
    sent.took_ns = CheckHost::Monotonic() - before;
    sent.error = error.text();
    sent.error_intact = error.IntactBehind();
    return sent;
}

Sent Submit(Trial& trial, Life& life, const Mail& mail) {
    // The views have to hold until the answer, which comes when nobody waits here any more.
    static std::vector<std::unique_ptr<Pages>> pages;
    pages.push_back(std::make_unique<Pages>(RoomOf(mail) + sizeof(osp_msg)));
    Sent sent;
    sent.tokens.push_back(trial.host.Open(TokenKind::kTransport));
    auto* message = static_cast<osp_msg*>(pages.back()->Take(sizeof(osp_msg)));
    FillMessage(trial, mail, *pages.back(), *message, sent.tokens[0]);
    const osp_batch batch{sizeof batch, 0, message, 1, sizeof *message};
    GuardedError error;
    sent.status = trial.kind().transport.submit(life.inst(), &batch, &error.error);
    sent.error = error.text();
    sent.error_intact = error.IntactBehind();
    return sent;
}

int32_t OutcomeOf(const Sent& sent) {
    const Answer& answer = sent.answers.at(0);
    if (!answer.readable) return -1;
    return answer.rcpts.empty() ? answer.all.outcome : answer.rcpts[0].outcome;
}

std::string Told(const Sent& sent) {
    const Answer& answer = sent.answers.at(0);
    if (!sent.answered.at(0))
        return base::Cat("no answer, the call returned ", sent.status, " ", sent.error);
    if (!answer.readable) return base::Cat("status ", answer.status, " ", answer.error);
    const auto& one = answer.rcpts.empty() ? answer.all : answer.rcpts[0];
    return base::Cat("outcome ", one.outcome, " code ", one.smtp_code, " ", one.diag);
}

Asked Authenticate(Trial& trial, Life& life, const Credential& credential) {
    Closing closing(trial);
    const osp_token token = trial.host.Open(TokenKind::kAuth);
    Pages& pages = closing.Add(token, credential.text.size() + 8192);
    Spaced<osp_auth_req> place(1, std::max<size_t>(trial.stride_extra, trial.request_extra));
    osp_auth_req& request = Sized(trial, place);
    request.token = token;
    request.scheme = pages.Text(credential.scheme);
    request.credential = pages.Bytes(credential.text);
    request.peer = pages.Text("192.0.2.1");
    request.method = pages.Text("GET");
    request.path = pages.Text("/emails");
    request.listener = pages.Text("api");
    if (!credential.username.empty()) {
        request.attrs = pages.Pairs({
            {"username", credential.username}
        });
        request.n_attrs = 1;
    }
    request.deadline = DeadlineIn(trial, 3000);
    GuardedError error;
    const osp_time before = CheckHost::Monotonic();
    const osp_status status = Timed(trial, [&] {
        return trial.kind().auth.authenticate(life.inst(), &request, &error.error);
    });
    return Collect(trial, token, status, error, before);
}

Asked Handle(Trial& trial, Life& life, const HttpAsk& ask) {
    Closing closing(trial);
    const osp_token token = trial.host.Open(TokenKind::kInbound);
    size_t room = ask.body.size() + ask.query.size() + ask.path.size() + 16384;
    for (const auto& [name, value] : ask.headers) room += name.size() + value.size() + 64;
    Pages& pages = closing.Add(token, room);
    Spaced<osp_http_req> place(1, std::max<size_t>(trial.stride_extra, trial.request_extra));
    osp_http_req& request = Sized(trial, place);
    request.token = token;
    request.method = pages.Text(ask.method);
    request.path =
        pages.Text(ask.path.empty() ? base::Cat("/events/", trial.kind().name) : ask.path);
    request.query = pages.Text(ask.query);
    request.peer = pages.Text("192.0.2.1");
    request.headers = pages.Pairs(ask.headers);
    request.n_headers = static_cast<uint32_t>(ask.headers.size());
    request.body = pages.Bytes(ask.body);
    request.deadline = DeadlineIn(trial, 3000);
    GuardedError error;
    const osp_time before = CheckHost::Monotonic();
    const osp_status status = Timed(trial, [&] {
        return trial.kind().inbound.handle(life.inst(), &request, &error.error);
    });
    return Collect(trial, token, status, error, before);
}

HttpAsk GenuineRequest(Trial& trial) {
    const json::Value sample = trial.SampleValue("request");
    if (!sample.IsObject()) throw NotHere{"the manifest has no check.<kind>.request"};
    HttpAsk ask;
    const auto text = [&](const json::Value& value) {
        return trial.Fill(
            value.IsString() ? std::string(value.AsString()) : json::Canonical(value)
        );
    };
    for (const auto& [name, target] : {
             std::pair<const char*, std::string*>{"method", &ask.method},
             {"path",   &ask.path  },
             {"query",  &ask.query },
             {"body",   &ask.body  }
    }) {
        if (!sample.Find(name).IsMissing()) *target = text(sample.Find(name));
    }
    const json::Value headers = sample.Find("headers");
    for (size_t i = 0; headers.IsObject() && i < headers.size(); ++i)
        ask.headers.emplace_back(headers.NameAt(i), text(headers.MemberAt(i)));
    return ask;
}

Limited Acquire(Trial& trial, Life& life, const std::vector<Bucket>& buckets) {
    Spaced<osp_rl_req> requests(
        buckets.size() + 1, std::max<size_t>(trial.stride_extra, trial.request_extra)
    );
    Spaced<osp_rl_res> results(buckets.size() + 1, std::max<size_t>(trial.stride_extra, 64));
    FillBuckets(trial, buckets, requests);
    for (size_t i = 0; i < buckets.size(); ++i) {
        results[i] = osp_rl_res{};
        results[i].size = sizeof results[i];
        results[i].allowed = -1;
    }
    const osp_token token = trial.host.Open(TokenKind::kOther);
    Limited limited;
    const osp_time before = CheckHost::Monotonic();
    limited.status = Timed(trial, [&] {
        return trial.kind().ratelimit.acquire(
            life.inst(), &requests[0], requests.stride(), &results[0], results.stride(),
            static_cast<uint32_t>(buckets.size()), token, DeadlineIn(trial, 3000)
        );
    });
    if (limited.status == OSP_PENDING) {
        Require(Await(trial, token, 3000), "PENDING was said and the token never completed");
        limited.status = trial.host.AnswerOf(token).status;
    }
    limited.took_ns = CheckHost::Monotonic() - before;
    trial.host.Revoke(token);
    for (size_t i = 0; i < buckets.size(); ++i) limited.results.push_back(results[i]);
    limited.intact = results.IntactBetween();
    return limited;
}

void Refund(Trial& trial, Life& life, const std::vector<Bucket>& buckets) {
    if (trial.kind().ratelimit.refund == nullptr) throw NotHere{"it has no refund"};
    Spaced<osp_rl_req> requests(buckets.size() + 1, trial.stride_extra);
    FillBuckets(trial, buckets, requests);
    trial.kind().ratelimit.refund(
        life.inst(), &requests[0], requests.stride(), static_cast<uint32_t>(buckets.size())
    );
}

Asked AskOnce(Trial& trial, Life& life) {
    const Kind& kind = trial.kind();
    if (kind.iface == OSP_KIND_TRANSPORT) {
        const Sent sent = Send(trial, life, {PlainMail()});
        return {sent.status,       sent.tokens[0],  sent.answered[0],
                sent.error_intact, sent.answers[0], sent.took_ns};
    }
    if (kind.iface == OSP_KIND_AUTH)
        return Authenticate(
            trial, life, {"bearer", trial.Sample("credential").value_or("not-a-credential"), ""}
        );
    if (kind.iface == OSP_KIND_INBOUND) {
        if (!trial.SampleValue("request").IsObject()) return Handle(trial, life, {});
        return Handle(trial, life, GenuineRequest(trial));
    }
    if (kind.iface == OSP_KIND_RATELIMIT) {
        const Limited limited = Acquire(trial, life, {{"check:once"}});
        return {limited.status, 0, true, limited.intact, {}, limited.took_ns};
    }
    throw NotHere{"this interface has no calls yet"};
}

}  // namespace opensend::plugin_check
