#include "kernel/plugin/worker/session.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernel/base/scope_exit.h"

namespace opensend::plugin::worker {
namespace {

constexpr auto kReaderTurn = std::chrono::milliseconds(100);
constexpr auto kDeadlineGrace = std::chrono::milliseconds(100);
constexpr size_t kMaxHostCalls = 1024;
constexpr uint32_t kMaxOverdue = 3;
constexpr auto kRoomPatience = std::chrono::milliseconds(1000);

osp_str StrOfString(const std::string& text) { return {text.data(), text.size()}; }

std::string TextOfView(osp_str text, size_t max) {
    return text.ptr == nullptr ? std::string() : std::string(text.ptr, std::min(text.len, max));
}

}  // namespace

void SetError(osp_error* error, osp_status code, std::string_view text) {
    if (error == nullptr || error->size < sizeof *error) return;
    error->code = code;
    error->msg_len = static_cast<uint32_t>(std::min(text.size(), sizeof error->msg));
    std::memcpy(error->msg, text.data(), error->msg_len);
}

Session::Session(std::shared_ptr<const Recipe> recipe, Client client)
    : owner_(std::move(recipe)),
      recipe_(*owner_),
      client_(std::move(client)),
      iface_(client_.iface),
      host_(client_.host),
      host_calls_(host_) {}

Session::~Session() { Settle("it is not needed any more"); }

Checked<std::shared_ptr<Session>> Session::Start(
    std::shared_ptr<const Recipe> recipe, Client client, Received& hello
) {
    std::shared_ptr<Session> session(new Session(std::move(recipe), std::move(client)));
    const auto opened = session->Open(hello);
    if (opened.ok()) return session;
    session->Settle("it did not start");
    return base::Failure{opened.error()};
}

Checked<bool> Session::Open(Received& hello) {
    Descriptor peer;
    auto channel = Channel::Make(peer);
    if (!channel.ok()) return base::Failure{channel.error()};
    channel_ = std::move(*channel);
    Limits limits = recipe_.limits;
    limits.threads = client_.threads;
    auto process = Process::Start(recipe_.program, peer.get(), recipe_.file->fd(), limits);
    if (!process.ok()) return base::Failure{process.error()};
    process_ = std::move(*process);
    peer = Descriptor();
    client_.health->Change([this](auto& view) {
        ++view.starts;
        view.running.push_back(process_->pid());
    });
    answers_ = std::make_unique<Receiver>(channel_->answers(), channel_->socket(), false);

    const auto greeted = AwaitHello(hello);
    if (!greeted.ok()) return base::Failure{greeted.error()};
    last_beat_ = channel_->page().beat.load();
    beat_seen_ = recipe_.clock->Mono();
    {
        base::MutexLock lock(mutex_);
        calls_ = std::make_unique<Sender>(channel_->calls(), channel_->socket());
    }
    {
        base::MutexLock lock(reply_mutex_);
        replies_ = std::make_unique<Sender>(channel_->replies(), channel_->socket());
    }
    servants_ = std::make_unique<runtime::WorkerPool>("plugin-host", 1, kMaxHostCalls);
    reader_ = std::make_unique<runtime::Worker>("plugin-reader", [this](runtime::StopToken& stop) {
        ReadAnswers(stop);
    });
    return true;
}

Checked<bool> Session::AwaitHello(Received& hello) {
    const base::MonoTime until = recipe_.clock->Mono() + recipe_.patience.start;
    const auto is = [&](FrameKind kind) { return hello.frame.kind == static_cast<uint32_t>(kind); };
    std::string bytes, end;
    for (;;) {
        const auto got = answers_->Receive(bytes);
        if (got == Receiver::Got::kBroken) return Refuse("worker", "frames", "something else");
        if (got == Receiver::Got::kFrame) {
            if (!hello.Read(std::move(bytes))) return Refuse("worker", "a greeting", "nonsense");
            if (is(FrameKind::kHello)) break;
            // A plugin may speak while it is loaded.
            if (!is(FrameKind::kLog) && !is(FrameKind::kBadToken))
                return Refuse("worker", "a greeting", "another frame");
            if (is(FrameKind::kLog) && host_ != nullptr) LogFrame(hello.frame);
            continue;
        }
        if (!end.empty()) return Refuse("load", "a worker that lives", end);
        if (left() || recipe_.clock->Mono() > until)
            return Refuse("load", "an answer in time", "none");
        answers_->Wait(std::chrono::milliseconds(2));
        end = process_->WaitForEnd(std::chrono::milliseconds(0), channel_->page()).value_or("");
    }
    if (hello.frame.status != OSP_OK)
        return Refuse(
            TextOfView(hello.frame.s1, 64), TextOfView(hello.frame.s2, 300),
            TextOfView(hello.frame.s3, 300)
        );
    return true;
}

void Session::ReadAnswers(runtime::StopToken& stop) {
    std::string bytes;
    while (!stop.stopped() && !broken_) {
        bool any = false;
        if (!ReadOne(bytes, any)) {
            broken_ = true;
            process_->Kill();
            return;
        }
        if (!any) answers_->Wait(kReaderTurn);
    }
}

bool Session::ReadOne(std::string& bytes, bool& any) {
    const auto got = answers_->Receive(bytes);
    any = got == Receiver::Got::kFrame;
    if (!any) return got == Receiver::Got::kNothing;
    auto received = std::make_shared<Received>();
    return received->Read(std::move(bytes)) && Dispatch(std::move(received));
}

void Session::LogFrame(const Frame& frame) {
    host_->log(host_, static_cast<int32_t>(frame.op), frame.s1, frame.kv, frame.n_kv);
}

bool Session::Dispatch(std::shared_ptr<Received> received) {
    const Frame& frame = received->frame;
    if (host_ == nullptr) return true;  // a trial: nobody has asked it anything
    switch (static_cast<FrameKind>(frame.kind)) {
        case FrameKind::kComplete: Complete(*received); return true;
        case FrameKind::kReturn: {
            base::MutexLock lock(mutex_);
            const auto found = pending_.find(frame.id);
            if (found == pending_.end()) return true;
            found->second = std::move(received);
            answered_.NotifyAll();
            return true;
        }
        case FrameKind::kLog: LogFrame(frame); return true;
        case FrameKind::kMetricAdd:
            host_calls_.MetricAdd(frame.a, static_cast<int64_t>(frame.b));
            return true;
        case FrameKind::kMetricObserve: host_calls_.MetricObserve(frame.a, frame.real); return true;
        case FrameKind::kBadToken: {
            const osp_completion nothing{sizeof nothing, OSP_E_STATE, nullptr, nullptr};
            // Closed or never opened: the table counts it. An open one stays with its errand.
            bool open = false;
            {
                base::MutexLock lock(mutex_);
                open = errands_.count(frame.token) != 0;
            }
            if (!open) host_->complete(host_, frame.token, &nothing);
            return true;
        }
        case FrameKind::kHostCall: {
            if (dead_) return true;
            if (!servants_->Run([this, received] { Serve(received); })) return false;
            return true;
        }
        default: return false;
    }
}

void Session::Serve(const std::shared_ptr<Received>& call) {
    const std::weak_ptr<Session> weak = weak_from_this();
    host_calls_.Serve(
        *call,
        [this](const Frame& reply) {
            auto parcel = Sender::Pack(reply, false);
            Frame failed = NewFrame(FrameKind::kReturn);
            failed.id = reply.id;
            failed.status = OSP_E_TOOBIG;
            if (!parcel) parcel = Sender::Pack(failed, false);
            base::MutexLock lock(reply_mutex_);
            if (!parcel || !replies_->SendInPieces(*parcel, kRoomPatience)) process_->Kill();
            explicit_bzero(parcel->bytes.data(), parcel->bytes.size());
        },
        [weak](const Frame& callback) {
            const auto session = weak.lock();
            // A callback that finds no room would be lost, and the plugin wait for ever.
            if (session && session->Post(callback, {}) != OSP_OK) session->process_->Kill();
        }
    );
}

void Session::Release(const Errand& errand) {
    if (!errand.batch) return;
    base::MutexLock lock(errand.batch->mutex);
    if (errand.batch->open > 0) --errand.batch->open;
    errand.batch->changed.NotifyAll();
}

void Session::Give(osp_token token, const osp_completion& completion) {
    host_->complete(host_, token, &completion);
}

void Session::Complete(const Received& received) {
    const Frame& frame = received.frame;
    Errand errand;
    bool known = false;
    {
        base::MutexLock lock(mutex_);
        const auto found = errands_.find(frame.token);
        known = found != errands_.end();
        if (known) {
            errand = std::move(found->second);
            errands_.erase(found);
        }
    }
    osp_completion completion{sizeof completion, frame.status, nullptr, nullptr};
    osp_error error{};
    if (frame.n_error == 1) {
        error = *frame.error;
        completion.error = &error;
    }
    // Only what this instance may answer is ever looked at.
    if (iface_ == OSP_KIND_TRANSPORT && frame.n_msg_result == 1)
        completion.result = frame.msg_result;
    if (iface_ == OSP_KIND_AUTH && frame.n_auth_result == 1) completion.result = frame.auth_result;
    if (iface_ == OSP_KIND_INBOUND && frame.n_http_res == 1) completion.result = frame.http_res;
    if (known && errand.results != nullptr && frame.status == OSP_OK) {
        if (frame.n_rl_res != errand.n) completion.status = OSP_E_INTERNAL;
        for (uint32_t i = 0; i < errand.n && frame.n_rl_res == errand.n; ++i) {
            char* place = reinterpret_cast<char*>(errand.results) + size_t{i} * errand.stride;
            std::memcpy(place, &frame.rl_res[i], sizeof(osp_rl_res));
        }
    }
    if (known) {
        overdue_ = 0;
        proven_ = true;
    }
    Give(frame.token, completion);
    if (known) Release(errand);
}

osp_status Session::Call(
    Frame frame, std::chrono::milliseconds time, std::shared_ptr<Received>& answer, osp_error* error
) {
    const base::MonoTime until = recipe_.clock->Mono() + time;
    base::MutexLock lock(mutex_);
    if (dead_ || !calls_) return OSP_E_UNAVAILABLE;
    const uint64_t id = ++last_id_;
    frame.id = id;
    const auto parcel = Sender::Pack(frame, true);
    if (!parcel) return OSP_E_TOOBIG;
    if (!calls_->Send(*parcel)) return OSP_E_BUSY;
    pending_[id] = nullptr;
    osp_status status = OSP_PENDING;
    while (!pending_[id] && status == OSP_PENDING) {
        const auto left = until - recipe_.clock->Mono();
        const auto end = process_->WaitForEnd(std::chrono::milliseconds(0), channel_->page());
        if (dead_ || end) status = OSP_E_UNAVAILABLE;
        if (end) SetError(error, status, base::Cat("the plugin's worker ended: ", *end));
        if (left.count() <= 0 || this->left()) status = OSP_E_TIMEOUT;
        const std::chrono::nanoseconds turn = std::chrono::milliseconds(10);
        if (status == OSP_PENDING) answered_.WaitFor(lock, std::min(left, turn));
    }
    answer = std::exchange(pending_[id], nullptr);
    pending_.erase(id);
    if (!answer) return status;
    if (error != nullptr && answer->frame.n_error == 1) *error = *answer->frame.error;
    return answer->frame.status;
}

osp_status Session::Post(const Frame& frame, std::vector<Errand> errands) {
    auto parcel = Sender::Pack(frame, true);
    if (!parcel) return OSP_E_TOOBIG;
    // It may hold a credential.
    const base::ScopeExit wipe([&] { explicit_bzero(parcel->bytes.data(), parcel->bytes.size()); });
    base::MutexLock lock(mutex_);
    if (dead_ || !calls_) return OSP_E_BUSY;
    uint64_t position = 0;
    if (!calls_->Send(*parcel, &position)) return OSP_E_BUSY;
    for (Errand& errand : errands) {
        errand.position = position;
        errands_[errand.token] = std::move(errand);
    }
    return OSP_OK;
}

size_t Session::open_errands() const {
    base::MutexLock lock(mutex_);
    return errands_.size();
}

std::optional<std::string> Session::FindFault() {
    const base::MonoTime now = recipe_.clock->Mono();
    if (broken_) return "broke the protocol";
    const uint64_t beat = channel_->page().beat.load(std::memory_order_relaxed);
    std::vector<Errand> late;
    bool in_control_call = false;
    {
        base::MutexLock lock(mutex_);
        in_control_call = !pending_.empty();
        for (auto it = errands_.begin(); it != errands_.end();) {
            const auto deadline = static_cast<int64_t>(it->second.deadline);
            if (deadline == 0 || now < base::MonoTime{deadline} + kDeadlineGrace) {
                ++it;
                continue;
            }
            late.push_back(std::move(it->second));
            it = errands_.erase(it);
        }
    }
    for (const Errand& errand : late) Release(errand);
    overdue_ += static_cast<uint32_t>(late.size());
    if (beat != last_beat_ || in_control_call) {
        last_beat_ = beat;
        beat_seen_ = now;
    }
    if (now - beat_seen_ > recipe_.patience.heartbeat) return "no heartbeat";
    if (overdue_ >= kMaxOverdue) return "no answer to 3 calls";
    return std::nullopt;
}

std::optional<std::string> Session::Watch(std::chrono::milliseconds time) {
    if (const auto end = process_->WaitForEnd(time, channel_->page())) {
        return broken_ ? std::string("broke the protocol") : *end;
    }
    const auto fault = FindFault();
    if (fault) process_->Kill();
    return fault;
}

void Session::AnswerForTheDead(const Errand& errand, bool taken, const std::string& reason) {
    if (errand.counted)
        client_.health->Change([&](auto& view) { ++(taken ? view.indeterminate : view.not_tried); }
        );
    const std::string text = base::Cat("the plugin's worker ended: ", reason);
    if (iface_ == OSP_KIND_TRANSPORT) {
        osp_msg_result result{};
        result.size = sizeof result;
        result.all.size = sizeof result.all;
        result.all.outcome = taken ? OSP_OUT_INDETERMINATE : OSP_OUT_NOT_TRIED;
        result.all.diag = StrOfString(text);
        Give(errand.token, {sizeof(osp_completion), OSP_OK, &result, nullptr});
    } else {
        Give(errand.token, {sizeof(osp_completion), OSP_E_BUSY, nullptr, nullptr});
    }
    Release(errand);
}

void Session::Settle(const std::string& reason) {
    base::MutexLock settling(settle_mutex_);
    if (settled_) return;
    settled_ = true;
    {
        base::MutexLock lock(mutex_);
        dead_ = true;
        answered_.NotifyAll();
    }
    if (process_) {
        process_->Kill();
        process_->WaitForEnd(std::chrono::milliseconds(5000), channel_->page());
        client_.health->Change([this](auto& view) {
            const auto gone =
                std::remove(view.running.begin(), view.running.end(), process_->pid());
            view.running.erase(gone, view.running.end());
        });
    }
    if (reader_) channel_->answers().Interrupt();
    reader_.reset();
    servants_.reset();
    // What it said before it died counts.
    std::string bytes;
    bool any = answers_ != nullptr && !broken_;
    while (any && ReadOne(bytes, any)) {
    }
    host_calls_.Close();
    std::map<osp_token, Errand> open;
    {
        base::MutexLock lock(mutex_);
        open.swap(errands_);
    }
    const uint64_t read = open.empty() ? 0 : channel_->calls().read_position();
    for (const auto& [token, errand] : open)
        AnswerForTheDead(errand, errand.position <= read, reason);
}

}  // namespace opensend::plugin::worker
