#include "kernel/egress/client_transfer.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include <openssl/ssl.h>

#include "kernel/base/check.h"
#include "kernel/base/text.h"
#include "kernel/egress/url.h"

namespace opensend::egress {
namespace {

constexpr int kMaxInformational = 10;

template <class Value>
void SetOption(const Easy& easy, CURLoption option, Value value) {
    const CURLcode code = curl_easy_setopt(easy.get(), option, value);
    OPENSEND_CHECK(code == CURLE_OK, "libcurl takes this option");
}

void Append(List& list, const std::string& line) {
    curl_slist* grown = curl_slist_append(list.get(), line.c_str());
    OPENSEND_CHECK(grown != nullptr, "memory for a header line");
    static_cast<void>(list.release());
    list.reset(grown);
}

bool IsClientToken(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return c > ' ' && c < 0x7f && !std::strchr("()<>@,;:\\\"/[]?={}", c);
    });
}

base::IpAddress AddressOf(const sockaddr* address) {
    base::IpAddress ip;
    if (address->sa_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, address, sizeof v4);
        std::memcpy(ip.bytes.data(), &v4.sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, address, sizeof v6);
        std::memcpy(ip.bytes.data(), &v6.sin6_addr, 16);
        ip.is_v6 = true;
    }
    return ip;
}

curl_socket_t OpenPinnedSocket(void* arg, curlsocktype, curl_sockaddr* address) {
    auto& transfer = *static_cast<Transfer*>(arg);
    const bool is_ip = address->family == AF_INET || address->family == AF_INET6;
    if (!is_ip || !transfer.IsPinned(AddressOf(&address->addr))) {
        transfer.strayed = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

std::string TlsVersionOf(CURL* easy) {
    curl_tlssessioninfo* session = nullptr;
    const CURLcode code = curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &session);
    const bool known = code == CURLE_OK && session != nullptr && session->internals != nullptr &&
                       session->backend == CURLSSLBACKEND_OPENSSL;
    return known ? SSL_get_version(static_cast<const SSL*>(session->internals)) : "";
}

/// A kept connection passes no OpenPinnedSocket, so its peer is compared here before bytes go out.
int CheckPeer(void* arg, char* peer, char*, int, int) {
    auto& transfer = *static_cast<Transfer*>(arg);
    const auto address = base::ParseIp(peer, true);
    if (address && transfer.IsPinned(*address)) {
        transfer.result.tls_version = TlsVersionOf(transfer.easy.get());
        return CURL_PREREQFUNC_OK;
    }
    transfer.strayed = true;
    return CURL_PREREQFUNC_ABORT;
}

size_t ReadHeadLine(char* data, size_t size, size_t count, void* arg) {
    auto& transfer = *static_cast<Transfer*>(arg);
    const std::string_view raw(data, size * count);
    transfer.head_bytes += raw.size();
    if (transfer.head_bytes > transfer.request.max_response_head) {
        transfer.too_large = true;
        return 0;
    }
    std::string_view line = raw;
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
    if (line.starts_with("HTTP/")) {
        transfer.result.headers = {};
        const size_t space = line.find(' ');
        const std::string_view status =
            space == std::string_view::npos ? std::string_view() : line.substr(space + 1, 3);
        if (status.starts_with('1') && ++transfer.informational > kMaxInformational) {
            transfer.broken = true;
            return 0;
        }
        return raw.size();
    }
    const size_t colon = line.find(':');
    const bool plain = line.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
    if (colon != std::string_view::npos && plain && IsClientToken(line.substr(0, colon))) {
        transfer.result.headers.Add(line.substr(0, colon), base::Trim(line.substr(colon + 1)));
    }
    return raw.size();
}

size_t ReadBody(char* data, size_t size, size_t count, void* arg) {
    auto& transfer = *static_cast<Transfer*>(arg);
    const size_t length = size * count;
    const size_t room = transfer.request.max_response_body - transfer.result.body.size();
    if (length <= room) {
        transfer.result.body.append(data, length);
        return length;
    }
    if (transfer.request.cut_body) {
        transfer.result.body.append(data, room);
        transfer.body_cut = true;
    } else {
        transfer.too_large = true;
    }
    return 0;
}

/// Lines of the caller, and empty ones that keep libcurl from adding its own.
void SetFields(Transfer& transfer) {
    static constexpr std::string_view kOurs[] = {
        "host", "content-length", "transfer-encoding", "connection", "expect", "te", "upgrade",
    };
    for (const auto& [name, value] : transfer.request.headers.all()) {
        const std::string lower = base::AsciiLower(name);
        if (std::find(std::begin(kOurs), std::end(kOurs), lower) != std::end(kOurs)) continue;
        // A name with a semicolon and nothing else is how libcurl spells an empty value.
        Append(
            transfer.fields, value.empty() ? base::Cat(name, ';') : base::Cat(name, ": ", value)
        );
    }
    Append(transfer.fields, "Expect:");
    for (const char* name : {"Accept", "Content-Type"}) {
        if (transfer.request.headers.Count(name) == 0) {
            Append(transfer.fields, base::Cat(name, ':'));
        }
    }
    SetOption(transfer.easy, CURLOPT_HTTPHEADER, transfer.fields.get());
}

void SetMethod(Transfer& transfer) {
    const FetchRequest& request = transfer.request;
    const bool body_method =
        request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
    if (request.method == "HEAD") {
        SetOption(transfer.easy, CURLOPT_NOBODY, 1L);
    } else if (body_method || !request.body.empty()) {
        SetOption(transfer.easy, CURLOPT_POST, 1L);
        SetOption(transfer.easy, CURLOPT_POSTFIELDS, request.body.data());
        SetOption(
            transfer.easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size())
        );
        if (request.method != "POST")
            SetOption(transfer.easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    } else if (request.method != "GET") {
        SetOption(transfer.easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }
}

/// Names the pinned addresses to libcurl, which then asks no resolver. The URL is read by the
/// guard's parser: two readings of one text must not differ.
bool SetDestination(Transfer& transfer) {
    const auto url = ParseUrl(transfer.request.url);
    if (!url) return false;
    SetOption(transfer.easy, CURLOPT_URL, url->url.c_str());
    SetOption(transfer.easy, CURLOPT_PATH_AS_IS, 1L);
    if (url->literal) return true;
    std::string addresses;
    for (const auto& address : transfer.request.pinned) {
        if (!addresses.empty()) addresses += ',';
        addresses += address.is_v6 ? base::Cat('[', address.ToString(), ']') : address.ToString();
    }
    // With the plus sign the entry ages, so that the cache does not grow with every host.
    Append(transfer.resolve, base::Cat('+', url->host, ':', url->port, ':', addresses));
    SetOption(transfer.easy, CURLOPT_RESOLVE, transfer.resolve.get());
    return true;
}

void SetPolicy(const Easy& easy, const Client::Options& options) {
    SetOption(easy, CURLOPT_NOSIGNAL, 1L);
    SetOption(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    SetOption(easy, CURLOPT_FOLLOWLOCATION, 0L);
    SetOption(easy, CURLOPT_PROXY, "");
    SetOption(easy, CURLOPT_NOPROXY, "*");
    SetOption(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    SetOption(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    SetOption(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    SetOption(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    SetOption(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    SetOption(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    SetOption(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (options.ca_file.empty()) return;
    SetOption(easy, CURLOPT_CAINFO, options.ca_file.c_str());
    SetOption(easy, CURLOPT_CAPATH, static_cast<const char*>(nullptr));
}

}  // namespace

bool Prepare(Transfer& transfer, const Client::Options& options) {
    transfer.easy.reset(curl_easy_init());
    OPENSEND_CHECK(transfer.easy != nullptr, "memory for a transfer");
    transfer.fields.reset();
    transfer.resolve.reset();
    const Easy& easy = transfer.easy;
    if (!IsClientToken(transfer.request.method) || !SetDestination(transfer)) return false;
    SetPolicy(easy, options);
    SetMethod(transfer);
    SetFields(transfer);
    SetOption(easy, CURLOPT_PRIVATE, &transfer);
    SetOption(easy, CURLOPT_OPENSOCKETFUNCTION, &OpenPinnedSocket);
    SetOption(easy, CURLOPT_OPENSOCKETDATA, &transfer);
    SetOption(easy, CURLOPT_PREREQFUNCTION, &CheckPeer);
    SetOption(easy, CURLOPT_PREREQDATA, &transfer);
    SetOption(easy, CURLOPT_HEADERFUNCTION, &ReadHeadLine);
    SetOption(easy, CURLOPT_HEADERDATA, &transfer);
    SetOption(easy, CURLOPT_WRITEFUNCTION, &ReadBody);
    SetOption(easy, CURLOPT_WRITEDATA, &transfer);
    const auto left = std::max<int64_t>(1, (transfer.request.deadline - transfer.Age()).count());
    SetOption(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(left));
    SetOption(
        easy, CURLOPT_CONNECTTIMEOUT_MS,
        static_cast<long>(std::max<int64_t>(1, transfer.request.connect_timeout.count()))
    );
    if (transfer.retried) SetOption(easy, CURLOPT_FRESH_CONNECT, 1L);
    return true;
}

ClientFailure FailureOf(CURLcode code, const Transfer& transfer) {
    if (transfer.too_large) return ClientFailure::kResponseTooLarge;
    if (transfer.broken) return ClientFailure::kProtocol;
    if (transfer.body_cut || code == CURLE_OK) return ClientFailure::kNone;
    switch (code) {
        case CURLE_OPERATION_TIMEDOUT: return ClientFailure::kTimeout;
        case CURLE_COULDNT_CONNECT:
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_ABORTED_BY_CALLBACK: return ClientFailure::kConnectFailed;
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CIPHER:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_ISSUER_ERROR:
        case CURLE_SSL_INVALIDCERTSTATUS:
        case CURLE_SSL_ENGINE_INITFAILED:
        case CURLE_PEER_FAILED_VERIFICATION: return ClientFailure::kTlsFailed;
        default: return ClientFailure::kProtocol;
    }
}

}  // namespace opensend::egress
