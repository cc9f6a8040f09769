#include "kernel/dns/resolver.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include <ares.h>

#include "kernel/base/check.h"
#include "kernel/base/error.h"
#include "kernel/base/mutex.h"
#include "kernel/dns/channel.h"
#include "kernel/dns/hosts_file.h"
#include "kernel/dns/message.h"
#include "kernel/runtime/worker.h"

namespace opensend::dns {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;
using std::chrono::milliseconds;

constexpr milliseconds kLongestPoll{1000};

LookupFailure FailureOf(int status) {
    switch (status) {
        case ARES_ENOTFOUND: return LookupFailure::kNotFound;
        case ARES_ENODATA: return LookupFailure::kNoData;
        case ARES_EREFUSED: return LookupFailure::kRefused;
        case ARES_ETIMEOUT: return LookupFailure::kTimeout;
        case ARES_ECONNREFUSED: return LookupFailure::kUnreachable;
        case ARES_EBADNAME: return LookupFailure::kBadName;
        case ARES_EBADRESP: return LookupFailure::kBadAnswer;
        case ARES_ECANCELLED:
        case ARES_EDESTRUCTION: return LookupFailure::kCanceled;
        default: return LookupFailure::kServFail;
    }
}

/// Another server may know better.
bool IsWorthAnotherTry(LookupFailure failure) {
    return failure == LookupFailure::kServFail || failure == LookupFailure::kRefused ||
           failure == LookupFailure::kTimeout || failure == LookupFailure::kUnreachable ||
           failure == LookupFailure::kBadAnswer;
}

std::vector<ServerAddress> ServersOf(const Resolver::Options& options) {
    std::vector<ServerAddress> servers;
    for (const auto& text : options.servers) {
        const auto server = ParseServer(text);
        if (!server) {
            throw base::Invalid("dns.servers", "must hold addresses: ip, ip:port or [ipv6]:port");
        }
        servers.push_back(*server);
    }
    if (servers.empty()) servers = Channel(std::nullopt, options.timeout).SystemServers();
    if (servers.empty()) servers.push_back({*base::ParseIp("127.0.0.1"), 53});
    return servers;
}

}  // namespace

struct Resolver::State {
    State(Options resolver_options, const base::Clock& clock)
        : options(std::move(resolver_options)),
          cache(clock, options.max_cached),
          hosts(options.hosts_file) {
        const auto each = std::max(options.timeout / std::max(options.tries, 1), milliseconds(50));
        for (const auto& server : ServersOf(options)) {
            channels.push_back(std::make_unique<Channel>(server, each));
        }
        wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        OPENSEND_CHECK(wake_fd >= 0, "a descriptor for the resolver");
        worker = std::make_unique<runtime::Worker>("dns", [this](runtime::StopToken&) { Run(); });
    }
    ~State() {
        {
            base::MutexLock lock(mutex);
            stopping = true;
        }
        Wake();
        worker.reset();
        channels.clear();
        close(wake_fd);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void Wake() const {
        const uint64_t one = 1;
        static_cast<void>(!write(wake_fd, &one, sizeof one));
    }

    void Push(std::string_view name, RecordType type, milliseconds timeout, Done done) {
        auto question = std::make_shared<Question>();
        question->name = name;
        question->type = type;
        question->done = std::move(done);
        question->deadline = std::chrono::steady_clock::now() + timeout;
        {
            base::MutexLock lock(mutex);
            if (outstanding < options.max_pending && !stopping) {
                ++outstanding;
                arrived.push_back(std::move(question));
            }
        }
        if (!question) return Wake();
        question->done(base::Failure{LookupFailure::kBusy});
    }

    void Run() {
        while (TakeArrived()) {
            Deliver();
            Wait();
            WorkOnReplies();
            EndLate();
            Deliver();
        }
        CancelAll();
    }

    /// False when the resolver ends.
    bool TakeArrived() {
        std::deque<std::shared_ptr<Question>> taken;
        {
            base::MutexLock lock(mutex);
            if (stopping) return false;
            taken.swap(arrived);
        }
        for (auto& question : taken) Begin(question);
        WorkOnReplies();
        return true;
    }

    void Begin(const std::shared_ptr<Question>& question) {
        const auto name = NormalName(question->name);
        if (!name) return End(question, base::Failure{LookupFailure::kBadName});
        question->name = question->asked = *name;
        if (auto local = FindInHosts(*question)) return End(question, std::move(*local));
        if (auto cached = cache.Find(*name, question->type)) {
            return End(question, std::move(*cached));
        }
        open.emplace(question->deadline, question);
        Ask(question);
    }

    std::optional<Answers> FindInHosts(const Question& question) {
        const bool v6 = question.type == RecordType::kAaaa;
        if (!v6 && question.type != RecordType::kA) return std::nullopt;
        const auto addresses = hosts.Find(question.name);
        if (!addresses) return std::nullopt;
        std::vector<Record> records;
        for (const auto& address : *addresses) {
            if (address.is_v6 != v6) continue;
            Record record;
            record.address = address;
            records.push_back(std::move(record));
        }
        if (records.empty()) return Answers(base::Failure{LookupFailure::kNoData});
        return Answers(std::move(records));
    }

    void Ask(const std::shared_ptr<Question>& question) {
        const auto server = static_cast<size_t>(question->tries++) % channels.size();
        channels[server]->Ask(replies, question);
    }

    void Wait() {
        std::vector<pollfd> sockets{
            {wake_fd, POLLIN, 0}
        };
        milliseconds wait = kLongestPoll;
        for (const auto& channel : channels) {
            channel->AddSockets(sockets);
            channel->LimitWait(wait);
        }
        if (!open.empty()) {
            const auto left = open.begin()->first - std::chrono::steady_clock::now();
            wait = std::min(wait, std::chrono::ceil<milliseconds>(left));
        }
        poll(sockets.data(), sockets.size(), static_cast<int>(std::max<int64_t>(0, wait.count())));
        uint64_t count = 0;
        static_cast<void>(!read(wake_fd, &count, sizeof count));
        for (const auto& socket : sockets) {
            if (socket.revents == 0 || socket.fd == wake_fd) continue;
            for (const auto& channel : channels) channel->Process(socket);
        }
        for (const auto& channel : channels) channel->ProcessTimeouts();
    }

    /// A reply may lead to another question that c-ares answers at once, hence the loop.
    void WorkOnReplies() {
        while (!replies.empty()) {
            std::vector<ServerReply> taken;
            taken.swap(replies);
            for (auto& reply : taken) {
                if (!reply.question->ended) WorkOn(reply);
            }
        }
    }

    void WorkOn(const ServerReply& reply) {
        const auto& question = reply.question;
        const bool readable = reply.status == ARES_SUCCESS || reply.status == ARES_ENODATA ||
                              reply.status == ARES_ENOTFOUND;
        if (!readable) return RetryOrEnd(question, FailureOf(reply.status));
        auto answer = ReadAnswer(reply.message, question->asked, question->type, question->aliases);
        if (!answer) return RetryOrEnd(question, answer.error());
        question->ttl_s = std::min(question->ttl_s, answer->ttl_s);
        if (reply.status == ARES_SUCCESS && !answer->records.empty()) {
            if (question->type == RecordType::kMx) {
                std::stable_sort(
                    answer->records.begin(), answer->records.end(),
                    [](const Record& a, const Record& b) { return a.preference < b.preference; }
                );
            }
            Answers found(std::move(answer->records));
            cache.Put(question->name, question->type, found, question->ttl_s);
            return End(question, std::move(found));
        }
        if (reply.status == ARES_SUCCESS && answer->final_name != question->asked) {
            if (!NormalName(answer->final_name)) {
                return End(question, base::Failure{LookupFailure::kBadAnswer});
            }
            question->aliases += answer->aliases;
            question->asked = answer->final_name;
            question->tries = 0;
            return Ask(question);
        }
        Answers absent(base::Failure{
            reply.status == ARES_ENOTFOUND ? LookupFailure::kNotFound : LookupFailure::kNoData});
        const uint32_t life_s = std::min(question->ttl_s, answer->negative_ttl_s);
        cache.Put(question->name, question->type, absent, life_s);
        End(question, std::move(absent));
    }

    void RetryOrEnd(const std::shared_ptr<Question>& question, LookupFailure failure) {
        if (IsWorthAnotherTry(failure) && question->tries < options.tries) return Ask(question);
        End(question, base::Failure{failure});
    }

    void EndLate() {
        const auto now = std::chrono::steady_clock::now();
        while (!open.empty() && open.begin()->first <= now) {
            const auto question = open.begin()->second;
            End(question, base::Failure{LookupFailure::kTimeout});
        }
    }

    void End(const std::shared_ptr<Question>& question, Answers answers) {
        question->ended = true;
        const auto range = open.equal_range(question->deadline);
        for (auto at = range.first; at != range.second; ++at) {
            if (at->second != question) continue;
            open.erase(at);
            break;
        }
        finished.emplace_back(std::move(question->done), std::move(answers));
    }

    /// Calls back outside of c-ares, so that a Done may look up again.
    void Deliver() {
        std::vector<std::pair<Done, Answers>> taken;
        taken.swap(finished);
        {
            base::MutexLock lock(mutex);
            outstanding -= taken.size();
        }
        for (auto& [done, answers] : taken) done(std::move(answers));
    }

    void CancelAll() {
        for (const auto& channel : channels) channel->Cancel();
        replies.clear();
        while (!open.empty()) {
            const auto question = open.begin()->second;
            End(question, base::Failure{LookupFailure::kCanceled});
        }
        std::deque<std::shared_ptr<Question>> taken;
        {
            base::MutexLock lock(mutex);
            taken.swap(arrived);
        }
        for (const auto& question : taken) End(question, base::Failure{LookupFailure::kCanceled});
        Deliver();
    }

    const Options options;
    AnswerCache cache;
    int wake_fd = -1;
    base::Mutex mutex;
    std::deque<std::shared_ptr<Question>> arrived OPENSEND_GUARDED_BY(mutex);
    size_t outstanding OPENSEND_GUARDED_BY(mutex) = 0;
    bool stopping OPENSEND_GUARDED_BY(mutex) = false;
    // Used by the worker thread only once it runs.
    HostsFile hosts;
    std::vector<ServerReply> replies;
    std::vector<std::unique_ptr<Channel>> channels;
    std::multimap<SteadyTime, std::shared_ptr<Question>> open;
    std::vector<std::pair<Done, Answers>> finished;
    std::unique_ptr<runtime::Worker> worker;  // last: it stops first
};

Resolver::Resolver(Options options, const base::Clock& clock)
    : state_(std::make_unique<State>(std::move(options), clock)) {}
Resolver::~Resolver() = default;

void Resolver::Lookup(std::string_view name, RecordType type, Done done) {
    state_->Push(name, type, state_->options.timeout, std::move(done));
}

Answers Resolver::Query(std::string_view name, RecordType type) {
    return Query(name, type, state_->options.timeout);
}

Answers Resolver::Query(std::string_view name, RecordType type, milliseconds timeout) {
    const auto normal = NormalName(name);
    if (!normal) return base::Failure{LookupFailure::kBadName};
    if (auto cached = state_->cache.Find(*normal, type)) return std::move(*cached);
    base::Mutex mutex;
    base::CondVar changed;
    std::optional<Answers> result;
    state_->Push(*normal, type, timeout, [&](Answers answers) {
        base::MutexLock lock(mutex);
        result = std::move(answers);
        changed.NotifyOne();
    });
    base::MutexLock lock(mutex);
    while (!result) changed.Wait(lock);
    return std::move(*result);
}

std::optional<std::vector<base::IpAddress>> Resolver::ResolveAll(const std::string& host) {
    base::Mutex mutex;
    base::CondVar changed;
    std::vector<std::pair<RecordType, Answers>> results;
    for (const auto type : {RecordType::kA, RecordType::kAaaa}) {
        Lookup(host, type, [&, type](Answers answers) {
            base::MutexLock lock(mutex);
            results.emplace_back(type, std::move(answers));
            changed.NotifyOne();
        });
    }
    base::MutexLock lock(mutex);
    while (results.size() < 2) changed.Wait(lock);
    std::sort(results.begin(), results.end(), [](const auto& a, const auto& b) {
        return a.first < b.first;
    });
    std::vector<base::IpAddress> addresses;
    for (const auto& [type, answers] : results) {
        if (!answers && !IsAbsence(answers.error())) return std::nullopt;
        if (!answers) continue;
        for (const auto& record : *answers) addresses.push_back(record.address);
    }
    return addresses;
}

void Resolver::Forget(std::string_view name) {
    if (const auto normal = NormalName(name)) state_->cache.Forget(*normal);
}

}  // namespace opensend::dns
