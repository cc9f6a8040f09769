#include "kernel/plugin/worker/program/runner.h"

#include <unistd.h>

#include <cstring>
#include <ctime>
#include <utility>

#include "kernel/crypto/digest.h"
#include "kernel/plugin/load/import.h"
#include "kernel/plugin/worker/program/sandbox.h"

namespace opensend::plugin::worker {
namespace {

constexpr size_t kMaxQueuedSends = 1024;

osp_str ViewOfName(const std::string& text) { return {text.data(), text.size()}; }

uint32_t SlotsOf(const LoadedKind& kind) {
    if (kind.iface != OSP_KIND_TRANSPORT) return 0;
    osp_transport_v1 table{};
    if (!Import(kind.table, OPENSEND_SIZE_THROUGH(osp_transport_v1, get_caps), table)) return 0;
    return (table.send != nullptr ? kHasSend : 0u) | (table.submit != nullptr ? kHasSubmit : 0u) |
           (table.probe != nullptr ? kHasProbe : 0u) | (table.cancel != nullptr ? kHasCancel : 0u);
}

osp_error NoError() {
    osp_error error{};
    error.size = sizeof error;
    return error;
}

}  // namespace

Runner::Runner(Channel& channel)
    : channel_(channel),
      host_(channel, [this] { Beat(); }),
      calls_(channel.calls(), channel.socket(), true) {}

void Runner::Beat() { channel_.page().beat.fetch_add(1, std::memory_order_relaxed); }

Checked<LoadedPlugin> Runner::LoadFile(int plugin_file) {
    auto file = TakeDescriptor(plugin_file);
    if (!file.ok()) return base::Failure{file.error()};
    auto loaded = plugin::Load(**file);
    if (!loaded.ok()) return base::Failure{loaded.error()};
    osp_error error = NoError();
    const osp_status status = loaded->load(host_.table(), &error);
    if (status != OSP_OK)
        return Refuse(
            "load", "success",
            base::Cat(
                "status ", status, ": ",
                std::string_view(error.msg, std::min<size_t>(error.msg_len, sizeof error.msg))
            )
        );
    return loaded;
}

bool Runner::Load(int plugin_file, const Limits& limits) {
    ReportDeaths(channel_.page());
    auto loaded = LoadFile(plugin_file);
    if (!loaded.ok()) {
        Refused(loaded.error());
        return false;
    }
    loaded_ = std::move(*loaded);
    // Threads that exist before the filter need no right to be made.
    for (const LoadedKind& kind : loaded_.kinds) {
        if ((SlotsOf(kind) & kHasSend) == 0 || pool_) continue;
        pool_ = std::make_unique<runtime::WorkerPool>("plugin-send", kSendThreads, kMaxQueuedSends);
    }
    // What libraries read from files when they are first used.
    tzset();
    crypto::Sha256("");
    ReportDeaths(channel_.page());
    const std::string failed = Confine(limits);
    if (!failed.empty()) {
        Refused({"sandbox", failed, "a kernel that refuses it"});
        return false;
    }
    Greet();
    return true;
}

void Runner::Refused(const Problem& problem) {
    Frame hello = NewFrame(FrameKind::kHello);
    hello.status = OSP_E_CONFIG;
    hello.s1 = ViewOfName(problem.step);
    hello.s2 = ViewOfName(problem.expected);
    hello.s3 = ViewOfName(problem.found);
    host_.Send(hello);
}

void Runner::Greet() {
    std::vector<KindInfo> kinds;
    for (const LoadedKind& kind : loaded_.kinds) {
        KindInfo info{};
        info.size = sizeof info;
        info.flags = kind.instance.flags;
        info.iface = ViewOfName(kind.iface);
        info.name = ViewOfName(kind.name);
        info.schema = ViewOfName(kind.schema);
        info.slots = SlotsOf(kind);
        kinds.push_back(info);
    }
    Frame hello = NewFrame(FrameKind::kHello);
    hello.kinds = kinds.data();
    hello.n_kinds = static_cast<uint32_t>(kinds.size());
    host_.Send(hello);
}

void Runner::Run() {
    std::string bytes;
    for (;;) {
        Beat();
        const auto until_timer = host_.RunTimers();
        const auto got = calls_.Receive(bytes);
        if (got == Receiver::Got::kBroken) return;
        if (got == Receiver::Got::kFrame) {
            auto received = std::make_shared<Received>();
            if (!received->Read(std::move(bytes))) return;
            Handle(received);
            continue;
        }
        calls_.Wait(until_timer);
        if (channel_.PeerGone()) return;
    }
}

void Runner::Answer(uint64_t id, osp_status status, const osp_error& error) {
    Frame frame = NewFrame(FrameKind::kReturn);
    frame.id = id;
    frame.status = status;
    frame.error = &error;
    frame.n_error = status < 0 ? 1u : 0u;
    host_.Send(frame);
}

void Runner::CompleteWith(osp_token token, osp_status status, const osp_error& error) {
    osp_error copy = error;
    const osp_completion completion{sizeof completion, status, nullptr, &copy};
    host_.CompleteIfOpen(token, completion);
}

osp_status Runner::Create(const Frame& frame, osp_error& error) {
    if (frame.b >= loaded_.kinds.size() || inst_ != nullptr) return OSP_E_INVALID;
    kind_ = &loaded_.kinds[frame.b];
    Import(kind_->table, 8, transport_);
    if (kind_->iface != OSP_KIND_TRANSPORT) transport_ = {};
    if (kind_->iface == OSP_KIND_AUTH) Import(kind_->table, 8, auth_);
    if (kind_->iface == OSP_KIND_RATELIMIT) Import(kind_->table, 8, limiter_);
    if (kind_->iface == OSP_KIND_INBOUND) Import(kind_->table, 8, inbound_);
    FillUnsupported(transport_.get_caps);
    FillUnsupported(transport_.submit);
    FillUnsupported(transport_.probe);
    FillUnsupported(auth_.authenticate);
    FillUnsupported(limiter_.acquire);
    FillUnsupported(inbound_.handle);
    FillNothing(auth_.invalidate);
    FillNothing(limiter_.refund);
    host_.Grant(frame.a);
    osp_create_args args{};
    args.size = sizeof args;
    args.host = host_.table();
    args.instance = frame.s1;
    args.tenant = frame.s2;
    args.config = frame.s3;
    args.deadline = frame.c;
    const osp_status status = kind_->instance.create(&args, &inst_, &error);
    return status == OSP_OK && inst_ == nullptr ? OSP_E_INTERNAL : status;
}

void Runner::HandleControl(const Frame& frame, FrameKind kind) {
    osp_error error = NoError();
    osp_status status = OSP_E_STATE;
    if (kind == FrameKind::kCreate) {
        status = Create(frame, error);
    } else if (inst_ == nullptr) {
        return Answer(frame.id, status, error);
    } else if (kind == FrameKind::kStart) {
        status = kind_->instance.start(inst_, &error);
    } else if (kind == FrameKind::kReconfigure) {
        status = kind_->instance.reconfigure(inst_, frame.s1, &error);
    } else if (kind == FrameKind::kProbe) {
        status = transport_.probe(inst_, frame.a, &error);
    } else if (kind == FrameKind::kStop) {
        kind_->instance.stop(inst_);
        status = OSP_OK;
    } else if (kind == FrameKind::kDestroy) {
        kind_->instance.destroy(std::exchange(inst_, nullptr));
        status = OSP_OK;
    } else if (kind == FrameKind::kCaps) {
        osp_transport_caps caps{};
        caps.size = sizeof caps;
        Frame answer = NewFrame(FrameKind::kReturn);
        answer.id = frame.id;
        answer.status = transport_.get_caps(inst_, &caps);
        answer.caps = &caps;
        answer.n_caps = 1;
        return host_.Send(answer);
    }
    Answer(frame.id, status, error);
}

void Runner::Handle(const std::shared_ptr<Received>& received) {
    const Frame& frame = received->frame;
    const auto kind = static_cast<FrameKind>(frame.kind);
    if (kind <= FrameKind::kCaps) return HandleControl(frame, kind);
    if (kind == FrameKind::kCallback) return host_.RunCallback(frame);
    if (inst_ == nullptr) return;
    osp_error error = NoError();
    osp_status status = OSP_PENDING;
    osp_token token = frame.token;
    switch (kind) {
        case FrameKind::kBatch: return Batch(received);
        case FrameKind::kAcquire: return Acquire(received);
        case FrameKind::kCancel:
            if (transport_.cancel != nullptr) transport_.cancel(inst_, token);
            return;
        case FrameKind::kInvalidate: return auth_.invalidate(inst_, frame.s1);
        case FrameKind::kRefund:
            return limiter_.refund(inst_, frame.rl_req, sizeof(osp_rl_req), frame.n_rl_req);
        case FrameKind::kDrain:
            host_.OpenToken(token, kind, received);
            status = kind_->instance.drain(inst_, token, frame.a);
            if (status != OSP_PENDING) CompleteWith(token, status, error);
            return;
        case FrameKind::kAuth:
            if (frame.n_auth_req != 1) return;
            token = frame.auth_req->token;
            host_.OpenToken(token, kind, received);
            status = auth_.authenticate(inst_, frame.auth_req, &error);
            break;
        case FrameKind::kInbound:
            if (frame.n_http_req != 1) return;
            token = frame.http_req->token;
            host_.OpenToken(token, kind, received);
            status = inbound_.handle(inst_, frame.http_req, &error);
            break;
        default: return;
    }
    if (status < 0) CompleteWith(token, status, error);
}

void Runner::Batch(const std::shared_ptr<Received>& received) {
    const Frame& frame = received->frame;
    for (uint32_t i = 0; i < frame.n_msgs; ++i)
        host_.OpenToken(frame.msgs[i].token, FrameKind::kBatch, received);
    if (frame.b == kHasSend && transport_.send != nullptr) {
        if (pool_->Run([this, received] { RunSend(received); })) return;
        osp_error error = NoError();
        for (uint32_t i = 0; i < frame.n_msgs; ++i)
            CompleteWith(frame.msgs[i].token, OSP_E_BUSY, error);
        return;
    }
    const osp_batch batch{sizeof batch, 0, frame.msgs, frame.n_msgs, sizeof(osp_msg)};
    osp_error error = NoError();
    const osp_status status = transport_.submit(inst_, &batch, &error);
    for (uint32_t i = 0; status < 0 && i < frame.n_msgs; ++i)
        CompleteWith(frame.msgs[i].token, status, error);
}

void Runner::RunSend(const std::shared_ptr<Received>& received) {
    const Frame& frame = received->frame;
    const osp_batch batch{sizeof batch, 0, frame.msgs, frame.n_msgs, sizeof(osp_msg)};
    osp_error error = NoError();
    const osp_status status = transport_.send(inst_, &batch, &error);
    osp_msg_result result{};
    result.size = sizeof result;
    result.all.size = sizeof result.all;
    result.all.outcome = OSP_OUT_INDETERMINATE;
    result.all.diag = OSP_S("the plugin gave no answer");
    const osp_completion unknown{sizeof unknown, OSP_OK, &result, nullptr};
    for (uint32_t i = 0; i < frame.n_msgs; ++i) {
        if (status < 0) {
            CompleteWith(frame.msgs[i].token, status, error);
        } else {
            host_.CompleteIfOpen(frame.msgs[i].token, unknown);
        }
    }
}

void Runner::Acquire(const std::shared_ptr<Received>& received) {
    const Frame& frame = received->frame;
    struct Loan {
        std::shared_ptr<Received> call;
        std::vector<osp_rl_res> results;
    };
    const auto loan = std::make_shared<Loan>();
    loan->call = received;
    loan->results.assign(frame.n_rl_req, osp_rl_res{sizeof(osp_rl_res), 0, 0, 0, 0, 0, 0});
    host_.OpenToken(frame.token, FrameKind::kAcquire, loan);
    host_.SetResults(frame.token, loan->results.data(), frame.n_rl_req);
    const osp_status status = limiter_.acquire(
        inst_, frame.rl_req, sizeof(osp_rl_req), loan->results.data(), sizeof(osp_rl_res),
        frame.n_rl_req, frame.token, frame.a
    );
    osp_error error = NoError();
    if (status != OSP_PENDING) CompleteWith(frame.token, status, error);
}

}  // namespace opensend::plugin::worker
