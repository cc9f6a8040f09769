#pragma once

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace opensend::testing_support {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

inline Key MakeKey() { return {EVP_EC_gen("P-256"), EVP_PKEY_free}; }

inline void AddExtension(X509* certificate, int nid, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
    if (extension == nullptr) std::abort();
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/// A certificate valid from two days ago to `valid_for` seconds from now; signed by `issuer`, or by
/// itself as an authority when that is null.
inline Certificate MakeCertificate(
    const std::string& name,
    EVP_PKEY* key,
    const X509* issuer,
    EVP_PKEY* issuer_key,
    const std::string& alternative_name,
    long valid_for
) {
    static long serial = 1;
    Certificate certificate(X509_new(), X509_free);
    X509* x509 = certificate.get();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x509), -2 * 86400);
    X509_gmtime_adj(X509_getm_notAfter(x509), valid_for);
    X509_set_pubkey(x509, key);
    X509_NAME* subject = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(
        subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0
    );
    X509_set_issuer_name(x509, issuer == nullptr ? subject : X509_get_subject_name(issuer));
    if (issuer == nullptr) AddExtension(x509, NID_basic_constraints, "critical,CA:TRUE");
    if (!alternative_name.empty()) AddExtension(x509, NID_subject_alt_name, alternative_name);
    X509_sign(x509, issuer_key, EVP_sha256());
    return certificate;
}

/// An authority written to a file, and server contexts with certificates of it.
class TestAuthority {
public:
    explicit TestAuthority(const std::string& file)
        : file_(file),
          key_(MakeKey()),
          certificate_(MakeCertificate("test authority", key_.get(), nullptr, key_.get(), "", 86400)
          ) {
        FILE* out = std::fopen(file.c_str(), "w");
        if (out == nullptr) std::abort();
        PEM_write_X509(out, certificate_.get());
        std::fclose(out);
    }
    ~TestAuthority() { std::remove(file_.c_str()); }
    TestAuthority(const TestAuthority&) = delete;
    TestAuthority& operator=(const TestAuthority&) = delete;

    const std::string& file() const { return file_; }

    using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
    Context Server(const std::string& alternative_name, long valid_for = 86400) const {
        const Key key = MakeKey();
        const Certificate leaf = MakeCertificate(
            "server", key.get(), certificate_.get(), key_.get(), alternative_name, valid_for
        );
        Context context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
        SSL_CTX_use_certificate(context.get(), leaf.get());
        SSL_CTX_use_PrivateKey(context.get(), key.get());
        return context;
    }

    /// Writes a new certificate and its key as PEM files.
    void Write(
        const std::string& cert_file,
        const std::string& key_file,
        const std::string& alternative_name,
        long valid_for = 86400
    ) const {
        const Key key = MakeKey();
        const Certificate leaf = MakeCertificate(
            "server", key.get(), certificate_.get(), key_.get(), alternative_name, valid_for
        );
        FILE* out = std::fopen(cert_file.c_str(), "w");
        if (out == nullptr) std::abort();
        PEM_write_X509(out, leaf.get());
        std::fclose(out);
        out = std::fopen(key_file.c_str(), "w");
        if (out == nullptr) std::abort();
        PEM_write_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
        std::fclose(out);
    }

private:
    std::string file_;
    Key key_;
    Certificate certificate_;
};

}  // namespace opensend::testing_support
