#include "kernel/tls/identity.h"

#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "kernel/base/check.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/runtime/log.h"

namespace opensend::tls {
namespace {

constexpr std::chrono::seconds kLookEvery{1};
constexpr char kCiphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

using Context = std::shared_ptr<SSL_CTX>;

std::string LastError() {
    const unsigned long code = ERR_get_error();
    const char* const reason = ERR_reason_error_string(code);
    ERR_clear_error();
    return reason == nullptr ? "unknown" : reason;
}

base::Failure<std::string> Refused(const std::string& path, std::string_view reason) {
    return base::Failure{base::Cat(path, ": ", reason)};
}

base::Time EndOf(const X509* certificate) {
    std::tm civil{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &civil) != 1) return {};
    base::CivilTime time;
    time.year = civil.tm_year + 1900;
    time.month = civil.tm_mon + 1;
    time.day = civil.tm_mday;
    time.hour = civil.tm_hour;
    time.minute = civil.tm_min;
    time.second = civil.tm_sec;
    return base::FromCivil(time).value_or(base::Time{});
}

}  // namespace

struct Identity::State {
    /// What changes when a file is replaced or written.
    struct Stamp {
        int64_t modified_ns = 0;
        uint64_t inode = 0;
        int64_t size = -1;
        bool operator==(const Stamp&) const = default;
    };
    static Stamp StampOf(const std::string& path) {
        struct stat info {};
        if (::stat(path.c_str(), &info) != 0) return {};
        return {
            static_cast<int64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec,
            info.st_ino, info.st_size};
    }
    std::shared_ptr<SSL_CTX> context;
    base::Time not_after;
    Stamp cert, key;
    base::MonoTime looked;
};

namespace {

base::Result<Context, std::string> ReadFiles(const std::string& cert, const std::string& key) {
    ERR_clear_error();
    Context context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
    OPENSEND_CHECK(context != nullptr, "memory for a TLS context");
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(
        context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                           SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF
    );
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_cipher_list(context.get(), kCiphers);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    if (SSL_CTX_use_certificate_chain_file(context.get(), cert.c_str()) != 1) {
        return Refused(cert, base::Cat("no certificate can be read: ", LastError()));
    }
    if (SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) != 1) {
        return Refused(key, base::Cat("the private key cannot be used: ", LastError()));
    }
    if (SSL_CTX_check_private_key(context.get()) != 1) {
        return Refused(key, "it is not the key of the certificate");
    }
    return context;
}

}  // namespace

Identity::Identity(std::string cert_path, std::string key_path, const base::Clock& clock)
    : cert_path_(std::move(cert_path)), key_path_(std::move(key_path)), clock_(clock) {
    const auto loaded = Reload();
    if (!loaded.ok()) throw base::Error(base::ErrorCode::kInvalidParameter, loaded.error());
}

Identity::~Identity() = default;

base::Result<bool, std::string> Identity::Reload() {
    const auto cert = State::StampOf(cert_path_);
    const auto key = State::StampOf(key_path_);
    auto context = ReadFiles(cert_path_, key_path_);
    if (!context) return base::Failure{context.error()};
    auto state = std::make_unique<State>();
    state->not_after = EndOf(SSL_CTX_get0_certificate(context->get()));
    if (state->not_after <= clock_.Now()) return Refused(cert_path_, "the certificate has ended");
    state->context = std::move(*context);
    state->cert = cert;
    state->key = key;
    state->looked = clock_.Mono();
    state_.With([&](auto& current) { current = std::move(state); });
    return true;
}

void Identity::ReloadIfChanged() {
    const base::MonoTime now = clock_.Mono();
    const bool look = state_.With([&](auto& current) {
        if (now < current->looked + kLookEvery) return false;
        current->looked = now;
        return true;
    });
    if (!look) return;
    const auto cert = State::StampOf(cert_path_);
    const auto key = State::StampOf(key_path_);
    const bool changed =
        state_.With([&](auto& current) { return !(current->cert == cert && current->key == key); });
    if (!changed) return;
    if (const auto loaded = Reload(); !loaded.ok()) {
        OPENSEND_LOG(
            kError, "tls.not_reloaded", "the old certificate stays", kv("problem", loaded.error())
        );
        // The same files are not tried again.
        state_.With([&](auto& current) {
            current->cert = cert;
            current->key = key;
        });
    } else {
        OPENSEND_LOG(kInfo, "tls.reloaded", "a new certificate is in use", kv("file", cert_path_));
    }
}

std::unique_ptr<Session> Identity::Accept() {
    ReloadIfChanged();
    SSL* const ssl = state_.With([](auto& current) { return SSL_new(current->context.get()); });
    OPENSEND_CHECK(ssl != nullptr, "memory for a TLS session");
    return std::make_unique<Session>(ssl);
}

base::Time Identity::not_after() const {
    return state_.With([](const auto& current) { return current->not_after; });
}

}  // namespace opensend::tls
