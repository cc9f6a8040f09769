#include "kernel/plugin/worker/link.h"

#include <algorithm>
#include <utility>

#include "kernel/runtime/log.h"

namespace opensend::plugin::worker {
namespace {

constexpr size_t kDeathsToRest = 3;
constexpr uint32_t kMostDoublings = 20;
constexpr std::chrono::nanoseconds kLongestRest = std::chrono::seconds(300);
constexpr auto kSecondTry = std::chrono::milliseconds(100);
constexpr auto kStopTime = std::chrono::milliseconds(5000);
constexpr auto kWatchTurn = std::chrono::milliseconds(50);
constexpr auto kShortestControl = std::chrono::milliseconds(1000);

std::string CopyOf(osp_str text) {
    return text.ptr == nullptr ? std::string() : std::string(text.ptr, text.len);
}
osp_str ViewOfText(const std::string& text) { return {text.data(), text.size()}; }

}  // namespace

Link::Link(
    std::shared_ptr<const Recipe> recipe,
    uint32_t kind,
    std::string iface,
    const osp_create_args& args,
    const ApartArgs& apart
)
    : recipe_(std::move(recipe)),
      kind_(kind),
      iface_(std::move(iface)),
      name_(CopyOf(args.instance)),
      tenant_(CopyOf(args.tenant)),
      host_(args.host),
      apart_(apart),
      ctl_timeout_(std::max<std::chrono::nanoseconds>(
          base::MonoTime{static_cast<int64_t>(args.deadline)} - recipe_->clock->Mono(),
          kShortestControl
      )),
      config_(CopyOf(args.config)) {}

Link::~Link() { Stop(); }

osp_status Link::Create(osp_error* error) {
    {
        base::MutexLock lock(mutex_);
        wanted_ = true;
    }
    // The kernel ends a worker with the thread that started it: that is always this one.
    watch_ = std::make_unique<runtime::Worker>("plugin-watch", [this](runtime::StopToken& stop) {
        Run(stop);
    });
    base::MutexLock lock(mutex_);
    while (first_ == OSP_PENDING) created_.Wait(lock);
    if (error != nullptr && first_ < 0) *error = first_error_;
    return first_;
}

osp_status Link::Start(osp_error* error) {
    const auto session = current();
    if (!session) return OSP_E_UNAVAILABLE;
    std::shared_ptr<Received> answer;
    const osp_status status = session->Call(
        NewFrame(FrameKind::kStart),
        std::chrono::duration_cast<std::chrono::milliseconds>(ctl_timeout_), answer, error
    );
    base::MutexLock lock(mutex_);
    started_ = status == OSP_OK;
    return status;
}

osp_status Link::Reconfigure(osp_str json, osp_error* error) {
    const auto session = current();
    // Nobody there to ask: the one who asks makes another instance.
    if (!session) return OSP_E_UNSUPPORTED;
    Frame frame = NewFrame(FrameKind::kReconfigure);
    frame.s1 = json;
    std::shared_ptr<Received> answer;
    const osp_status status = session->Call(
        frame, std::chrono::duration_cast<std::chrono::milliseconds>(ctl_timeout_), answer, error
    );
    base::MutexLock lock(mutex_);
    if (status == OSP_OK) config_ = CopyOf(json);
    return status;
}

osp_status Link::Drain(osp_token done, osp_time deadline) {
    const auto session = current();
    if (!session) return OSP_OK;
    Frame frame = NewFrame(FrameKind::kDrain);
    frame.token = done;
    frame.a = deadline;
    Errand errand;
    errand.token = done;
    errand.counted = false;
    return session->Post(frame, {errand}) == OSP_OK ? OSP_PENDING : OSP_OK;
}

void Link::Stop() {
    *leave_ = true;
    watch_.reset();
}

void Link::EndSession() {
    *leave_ = false;  // this is waited for
    std::shared_ptr<Session> session;
    bool started = false;
    {
        base::MutexLock lock(mutex_);
        wanted_ = false;
        session = std::exchange(session_, nullptr);
        started = std::exchange(started_, false);
    }
    if (!session) return;
    std::shared_ptr<Received> answer;
    if (started) session->Call(NewFrame(FrameKind::kStop), kStopTime, answer, nullptr);
    session->Call(NewFrame(FrameKind::kDestroy), kStopTime, answer, nullptr);
    session->Settle("it was stopped");
}

std::shared_ptr<Session> Link::Ready() {
    base::MutexLock lock(mutex_);
    return FindReady();
}

std::shared_ptr<Session> Link::AwaitReady(base::MonoTime deadline) {
    base::MutexLock lock(mutex_);
    for (;;) {
        if (auto session = FindReady()) return session;
        const base::MonoTime now = recipe_->clock->Mono();
        if (session_ || !wanted_ || now >= deadline || retry_at_ >= deadline) return nullptr;
        const std::chrono::nanoseconds turn = std::chrono::milliseconds(20);
        created_.WaitFor(lock, std::min<std::chrono::nanoseconds>(deadline - now, turn));
    }
}

std::shared_ptr<Session> Link::FindReady() {
    if (!session_ || session_->dead()) return nullptr;
    if (probing_ && session_->proven()) {
        probing_ = false;
        apart_.health->Change([](auto& view) { view.open_until = {}; });
    }
    if (probing_ && session_->open_errands() > 0) return nullptr;
    return session_;
}

std::shared_ptr<Session> Link::current() const {
    base::MutexLock lock(mutex_);
    return session_;
}

uint32_t Link::retry_after_ms() const {
    base::MutexLock lock(mutex_);
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(retry_at_ - recipe_->clock->Mono());
    return static_cast<uint32_t>(std::clamp<int64_t>(left.count(), 100, 300'000));
}

void Link::Run(runtime::StopToken& stop) {
    while (!stop.stopped()) {
        if (const auto session = current()) {
            const auto reason = session->Watch(kWatchTurn);
            if (!reason) continue;
            {
                base::MutexLock lock(mutex_);
                session_ = nullptr;
            }
            // Before the answers: who reads one looks at the state next.
            Died(*reason, session->pid());
            session->Settle(*reason);
            continue;
        }
        bool wait = false;
        {
            base::MutexLock lock(mutex_);
            wait = !wanted_ || recipe_->clock->Mono() < retry_at_;
        }
        if (wait) {
            stop.SleepFor(std::chrono::milliseconds(20));
        } else {
            BringUp();
        }
    }
    // Here, not in Stop: the kernel ends the worker with the thread that started it.
    EndSession();
}

osp_status Link::Raise(std::shared_ptr<Session>& session, osp_error& error) {
    Received hello;
    auto made =
        Session::Start(recipe_, {iface_, host_, apart_.health, apart_.threads, leave_}, hello);
    if (!made.ok()) {
        const Problem& problem = made.error();
        SetError(
            &error, OSP_E_INTERNAL,
            base::Cat(problem.step, ": expected ", problem.expected, ", found ", problem.found)
        );
        return OSP_E_INTERNAL;
    }
    session = *made;
    Frame frame = NewFrame(FrameKind::kCreate);
    std::string config;
    bool start = false;
    {
        base::MutexLock lock(mutex_);
        config = config_;
        start = started_;
    }
    frame.a = session->services();
    frame.b = kind_;
    frame.c = static_cast<uint64_t>((recipe_->clock->Mono() + ctl_timeout_).ns);
    frame.s1 = ViewOfText(name_);
    frame.s2 = ViewOfText(tenant_);
    frame.s3 = ViewOfText(config);
    const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(ctl_timeout_);
    std::shared_ptr<Received> answer;
    osp_status status = session->Call(frame, time, answer, &error);
    if (status == OSP_OK && start)
        status = session->Call(NewFrame(FrameKind::kStart), time, answer, &error);
    return status;
}

void Link::BringUp() {
    std::shared_ptr<Session> session;
    osp_error error{};
    error.size = sizeof error;
    const osp_status status = Raise(session, error);
    const std::string text(error.msg, std::min<size_t>(error.msg_len, sizeof error.msg));
    if (status != OSP_OK && session) session->Settle(text);
    bool first = false;
    {
        base::MutexLock lock(mutex_);
        first = first_ == OSP_PENDING;
        if (first) {
            first_ = status == OSP_OK || status < 0 ? status : OSP_E_INTERNAL;
            first_error_ = error;
            wanted_ = status == OSP_OK;
        }
        if (status == OSP_OK) {
            session_ = std::move(session);
            up_since_ = recipe_->clock->Mono();
        }
        created_.NotifyAll();
    }
    if (status != OSP_OK && !first && !*leave_)
        Died(text.empty() ? base::Cat("status ", status) : text, 0);
}

std::chrono::nanoseconds Link::RestAfter(base::MonoTime now) {
    if (up_since_.ns != 0 && now - up_since_ > recipe_->patience.window) {
        rests_ = 0;
        deaths_.clear();
    }
    deaths_.push_back(now);
    while (now - deaths_.front() > recipe_->patience.window) deaths_.pop_front();
    if (deaths_.size() < kDeathsToRest) return std::chrono::nanoseconds(0);
    const int64_t doubled = int64_t{1} << std::min<uint32_t>(rests_++, kMostDoublings);
    return std::min<std::chrono::nanoseconds>(recipe_->patience.rest * doubled, kLongestRest);
}

void Link::Died(const std::string& reason, int pid) {
    base::MonoTime open_until;
    std::chrono::nanoseconds rest{0};
    {
        base::MutexLock lock(mutex_);
        const base::MonoTime now = recipe_->clock->Mono();
        rest = RestAfter(now);
        retry_at_ = deaths_.size() == 1 ? now : now + kSecondTry;
        if (rest.count() > 0) {
            retry_at_ = open_until = now + rest;
            probing_ = true;
        }
        // Without a start there is no second try.
        if (!started_) wanted_ = false;
    }
    apart_.health->Change([&](auto& view) {
        ++view.deaths;
        view.last_reason = reason;
        view.open_until = open_until;
    });
    if (rest.count() > 0 && apart_.on_rest) apart_.on_rest(open_until);
    OPENSEND_LOG(
        kError, "plugin.worker_died", "the process of a plugin ended; the server goes on",
        kv("instance", name_), kv("pid", int64_t{pid}), kv("problem", reason),
        kv("rests_ms", int64_t{std::chrono::duration_cast<std::chrono::milliseconds>(rest).count()})
    );
}

}  // namespace opensend::plugin::worker
