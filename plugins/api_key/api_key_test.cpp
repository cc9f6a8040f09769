#include <fstream>
#include <optional>
#include <sstream>

#include <gtest/gtest.h>

#include <opensend/testing.hpp>

#include "kernel/base/encoding.h"
#include "kernel/crypto/digest.h"
#include "kernel/json/value.h"

namespace {

using osp::testing::FakeHost;
using osp::testing::Plugin;
using osp::testing::Running;

/// A key store with one record, and a count of what it was asked.
struct Store {
    std::string ref, mac, pepper;
    osp_status status = OSP_OK;
    int finds = 0, macs = 0;
};
Store& StoreOf(const osp_host* host) { return *static_cast<Store*>(FakeHost::Of(host).context); }

osp_status Find(
    const osp_host* host,
    osp_str ref,
    osp_time,
    void (*done)(void*, osp_status, const osp_credential*) noexcept,
    void* ctx
) noexcept {
    Store& store = StoreOf(host);
    ++store.finds;
    if (store.status != OSP_OK) return store.status;
    osp_credential out{};
    out.size = sizeof out;
    out.pepper_kid = 7;
    const bool known = osp::View(ref) == store.ref;
    if (known) {
        out.subject = osp::Str("key-1");
        out.tenant = osp::Str("org-1");
        out.scope = osp::Str("full_access");
        std::memcpy(out.mac, store.mac.data(), 32);
    }
    done(ctx, known ? OSP_OK : OSP_E_NOTFOUND, &out);
    return OSP_PENDING;
}
osp_status Mac(const osp_host* host, uint32_t kid, osp_bytes data, uint8_t out[32]) noexcept {
    Store& store = StoreOf(host);
    ++store.macs;
    EXPECT_EQ(kid, 7u);
    const std::string mac = opensend::crypto::HmacSha256(store.pepper, osp::View(data));
    std::memcpy(out, mac.data(), 32);
    return OSP_OK;
}
constexpr osp_host_credential_v1 kCredentials{sizeof(osp_host_credential_v1), 0, Find, Mac};

class ApiKeyTest : public testing::Test {
protected:
    ApiKeyTest() {
        host.services[OSP_HOST_CREDENTIAL] = &kCredentials;
        host.context = &store;
        host.on_complete = [this](osp_token, const osp_completion& completion) {
            status = completion.status;
            if (completion.result == nullptr) return;
            const auto& result = *static_cast<const osp_auth_result*>(completion.result);
            decision = result.decision;
            reason = osp::View(result.reason);
            subject = osp::View(result.subject);
            if (result.n_scopes == 1) scope = osp::View(result.scopes[0]);
        };
        std::ifstream file(OPENSEND_SOURCE_DIR "/tests/vectors/api-key.json");
        std::stringstream text;
        text << file.rdbuf();
        vector = opensend::json::Document::Parse(text.str());
        running.emplace(plugin, host);
    }
    int32_t Ask(std::string_view token) {
        decision = -1;
        osp_auth_req request{};
        request.size = sizeof request;
        request.token = 1;
        request.scheme = osp::Str("bearer");
        request.credential = osp::Bytes(token);
        EXPECT_EQ(
            plugin.table<osp_auth_v1>().authenticate(running->raw(), &request, nullptr), OSP_PENDING
        );
        return decision;
    }
    void Know(const opensend::json::Value& key) {
        store.ref = key.Find("key_ref").AsString();
        store.mac = *opensend::base::HexDecode(key.Find("mac_hex").AsString());
        store.pepper = *opensend::base::HexDecode(key.Find("pepper_hex").AsString());
    }

    FakeHost host;
    Store store;
    osp_status status = OSP_OK;
    int32_t decision = -1;
    std::string reason, subject, scope;
    opensend::base::Result<opensend::json::Document, opensend::json::ParseFailure> vector{
        opensend::base::Failure{opensend::json::ParseFailure{}}};
    Plugin plugin{OPENSEND_BINARY_DIR "/plugins/api_key.so", "api_key"};
    std::optional<Running> running;
};

TEST_F(ApiKeyTest, EveryKeyOfTheVectorGetsIn) {
    const auto keys = vector->root().Find("keys");
    ASSERT_EQ(keys.size(), 3u);
    for (size_t i = 0; i < keys.size(); ++i) {
        Know(keys.At(i));
        EXPECT_EQ(Ask(keys.At(i).Find("token").AsString()), OSP_AUTH_ALLOW);
        EXPECT_EQ(subject, "key-1");
        EXPECT_EQ(scope, "full_access");
    }
}

TEST_F(ApiKeyTest, AMalformedKeyIsDeniedWithoutALookUp) {
    const auto bad = vector->root().Find("must_fail");
    for (size_t i = 0; i < bad.size(); ++i) {
        const std::string_view token = bad.At(i).Find("token").AsString();
        EXPECT_EQ(Ask(token), token.substr(0, 3) == "os_" ? OSP_AUTH_DENY : OSP_AUTH_ABSTAIN)
            << token;
    }
    EXPECT_EQ(Ask("os_"), OSP_AUTH_DENY);
    EXPECT_EQ(Ask("os_" + std::string(1'000'000, 'a')), OSP_AUTH_DENY);
    EXPECT_EQ(Ask(""), OSP_AUTH_ABSTAIN);
    EXPECT_EQ(store.finds, 0);
}

TEST_F(ApiKeyTest, AnUnknownRefAndAWrongSecretTakeTheSamePath) {
    const auto keys = vector->root().Find("keys");
    Know(keys.At(1));
    EXPECT_EQ(Ask(keys.At(0).Find("token").AsString()), OSP_AUTH_DENY);
    EXPECT_EQ(reason, "invalid");
    EXPECT_EQ(store.macs, 1);
    store.ref = keys.At(0).Find("key_ref").AsString();
    EXPECT_EQ(Ask(keys.At(0).Find("token").AsString()), OSP_AUTH_DENY);
    EXPECT_EQ(reason, "invalid");
    EXPECT_EQ(store.macs, 2);
}

TEST_F(ApiKeyTest, AStoreThatDoesNotAnswerIsNoDenial) {
    store.status = OSP_E_UNAVAILABLE;
    EXPECT_EQ(Ask(vector->root().Find("keys").At(0).Find("token").AsString()), -1);
    EXPECT_EQ(status, OSP_E_UNAVAILABLE);
}

TEST_F(ApiKeyTest, WithoutTheCredentialServiceThereIsNoInstance) {
    FakeHost bare;
    const Running other(plugin, bare);
    EXPECT_EQ(other.status(), OSP_E_DENIED);
}

}  // namespace
