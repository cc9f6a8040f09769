#include "kernel/egress/client.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include <curl/curl.h>

#include "kernel/base/check.h"
#include "kernel/base/mutex.h"
#include "kernel/egress/client_transfer.h"
#include "kernel/runtime/worker.h"

namespace opensend::egress {
namespace {

constexpr size_t kMaxOutstanding = 20'000;
constexpr long kIdleConnections = 256;

void InitCurl() {
    static const CURLcode once = curl_global_init(CURL_GLOBAL_DEFAULT);
    OPENSEND_CHECK(once == CURLE_OK, "libcurl starts");
}

/// A peer that closes under a TLS write raises SIGPIPE on the writing thread only.
void BlockSigpipe() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace

std::string_view ToText(ClientFailure failure) {
    switch (failure) {
        case ClientFailure::kNone: return "none";
        case ClientFailure::kTimeout: return "timeout";
        case ClientFailure::kConnectFailed: return "connect_failed";
        case ClientFailure::kTlsFailed: return "tls_failed";
        case ClientFailure::kResponseTooLarge: return "response_too_large";
        case ClientFailure::kRedirectRefused: return "redirect_refused";
        case ClientFailure::kCanceled: return "canceled";
        case ClientFailure::kProtocol: return "protocol";
    }
    return "none";
}

struct Client::State {
    explicit State(Options client_options) : options(std::move(client_options)) {
        InitCurl();
        multi.reset(curl_multi_init());
        OPENSEND_CHECK(multi != nullptr, "memory for the client");
        const auto set = [&](CURLMoption option, long value) {
            curl_multi_setopt(multi.get(), option, value);
        };
        set(CURLMOPT_MAX_TOTAL_CONNECTIONS, options.max_connections);
        set(CURLMOPT_MAX_HOST_CONNECTIONS, options.max_connections_per_host);
        set(CURLMOPT_MAXCONNECTS, std::min<long>(kIdleConnections, options.max_connections));
        set(CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
        worker = std::make_unique<runtime::Worker>("http-client", [this](runtime::StopToken&) {
            Run();
        });
    }
    ~State() {
        {
            base::MutexLock lock(mutex);
            stopping = true;
        }
        curl_multi_wakeup(multi.get());
        worker.reset();
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    /// False: too many are under way.
    bool Push(std::unique_ptr<Transfer>& transfer) {
        {
            base::MutexLock lock(mutex);
            if (outstanding >= kMaxOutstanding || stopping) return false;
            ++outstanding;
            arrived.push_back(std::move(transfer));
        }
        curl_multi_wakeup(multi.get());
        return true;
    }

    void Run() {
        BlockSigpipe();
        while (TakeArrived()) {
            int active = 0;
            curl_multi_perform(multi.get(), &active);
            Collect();
            curl_multi_poll(multi.get(), nullptr, 0, 1000, nullptr);
        }
        CancelAll();
    }

    /// False when the client ends.
    bool TakeArrived() {
        std::deque<std::unique_ptr<Transfer>> taken;
        {
            base::MutexLock lock(mutex);
            if (stopping) return false;
            taken.swap(arrived);
        }
        for (auto& transfer : taken) Begin(std::move(transfer));
        return true;
    }

    void Begin(std::unique_ptr<Transfer> transfer) {
        if (transfer->request.pinned.empty()) {
            return End(std::move(transfer), ClientFailure::kConnectFailed);
        }
        if (!Prepare(*transfer, options)) return End(std::move(transfer), ClientFailure::kProtocol);
        CURL* easy = transfer->easy.get();
        const CURLMcode code = curl_multi_add_handle(multi.get(), easy);
        OPENSEND_CHECK(code == CURLM_OK, "libcurl takes a new transfer");
        running.emplace(easy, std::move(transfer));
    }

    void Collect() {
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
            if (message->msg != CURLMSG_DONE) continue;
            const CURLcode code = message->data.result;
            auto transfer = Detach(message->easy_handle);
            if (code != CURLE_OK && transfer->strayed && !transfer->retried) {
                transfer->ResetAnswer();
                transfer->retried = true;
                Begin(std::move(transfer));
                continue;
            }
            const ClientFailure failure = FailureOf(code, *transfer);
            End(std::move(transfer), failure);
        }
    }

    std::unique_ptr<Transfer> Detach(CURL* easy) {
        const auto at = running.find(easy);
        OPENSEND_CHECK(at != running.end(), "libcurl names a transfer of ours");
        auto transfer = std::move(at->second);
        running.erase(at);
        long status = 0;
        const char* peer = nullptr;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &peer);
        transfer->result.status = static_cast<int>(status);
        transfer->result.remote_address = peer == nullptr ? "" : peer;
        curl_multi_remove_handle(multi.get(), easy);
        return transfer;
    }

    void End(std::unique_ptr<Transfer> transfer, ClientFailure failure) {
        {
            base::MutexLock lock(mutex);
            --outstanding;
        }
        FetchResult result = std::move(transfer->result);
        result.failure = failure;
        result.duration = transfer->Age();
        if (failure != ClientFailure::kNone) {
            result.status = 0;
            result.headers = {};
            result.body.clear();
        }
        const auto done = std::move(transfer->done);
        transfer.reset();
        done(std::move(result));
    }

    void CancelAll() {
        while (!running.empty()) {
            End(Detach(running.begin()->first), ClientFailure::kCanceled);
        }
        std::deque<std::unique_ptr<Transfer>> taken;
        {
            base::MutexLock lock(mutex);
            taken.swap(arrived);
        }
        for (auto& transfer : taken) End(std::move(transfer), ClientFailure::kCanceled);
    }

    const Options options;
    Multi multi;
    base::Mutex mutex;
    std::deque<std::unique_ptr<Transfer>> arrived OPENSEND_GUARDED_BY(mutex);
    size_t outstanding OPENSEND_GUARDED_BY(mutex) = 0;
    bool stopping OPENSEND_GUARDED_BY(mutex) = false;
    std::map<CURL*, std::unique_ptr<Transfer>> running;  // used by the worker thread only
    std::unique_ptr<runtime::Worker> worker;             // last: it stops first
};

Client::Client(Options options) : state_(std::make_unique<State>(std::move(options))) {}
Client::~Client() = default;

void Client::Start(FetchRequest request, std::function<void(FetchResult)> done) {
    auto transfer = std::make_unique<Transfer>();
    transfer->request = std::move(request);
    transfer->done = std::move(done);
    if (state_->Push(transfer)) return;
    FetchResult refused;
    refused.failure = ClientFailure::kCanceled;
    transfer->done(std::move(refused));
}

FetchResult Client::Fetch(FetchRequest request) {
    base::Mutex mutex;
    base::CondVar changed;
    std::optional<FetchResult> answer;
    Start(std::move(request), [&](FetchResult result) {
        base::MutexLock lock(mutex);
        answer = std::move(result);
        changed.NotifyOne();
    });
    base::MutexLock lock(mutex);
    while (!answer) changed.Wait(lock);
    return std::move(*answer);
}

}  // namespace opensend::egress
