#include <unistd.h>

#include <atomic>
#include <memory>

#include "tests/plugins_defect/defect.h"

namespace defect {
namespace {

/// A credential is "<reference>.<secret>"; the host stores a MAC of the secret.
struct Lookup {
    osp::Host host;
    std::string secret;
    osp::Completion done;
};

void Decide(osp::Completion& done, int32_t decision) {
    static const osp_str kOne[] = {OSP_S("sending_access")};
    static const osp_str kTwo[] = {OSP_S("sending_access"), OSP_S("full_access")};
    const bool two = Is("auth.allow-shape");
    osp_auth_result result{};
    result.size = sizeof result;
    result.decision = decision;
    if (decision == OSP_AUTH_ALLOW) {
        result.subject = osp::Str("key-1");
        result.tenant = osp::Str("tenant-1");
        result.scopes = two ? kTwo : kOne;
        result.n_scopes = two ? 2 : 1;
    }
    if (decision == OSP_AUTH_DENY) result.reason = osp::Str("invalid");
    done.Done(&result);
}

void Found(void* context, osp_status status, const osp_credential* stored) noexcept {
    const std::unique_ptr<Lookup> lookup(static_cast<Lookup*>(context));
    if (stored == nullptr) {
        if (Is("auth.store-down")) return Decide(lookup->done, OSP_AUTH_ALLOW);
        lookup->done.Fail(OSP_E_UNAVAILABLE, "the store does not answer");
        return;
    }
    const auto* service = lookup->host.Service<osp_host_credential_v1>(OSP_HOST_CREDENTIAL);
    uint8_t mac[32] = {};
    service->mac(lookup->host.raw(), 0, osp::Bytes(lookup->secret), mac);
    const bool equal = std::memcmp(mac, stored->mac, sizeof mac) == 0 || Is("auth.refused");
    Decide(lookup->done, status == OSP_OK && equal ? OSP_AUTH_ALLOW : OSP_AUTH_DENY);
}

class Door final : public osp::Auth {
public:
    static constexpr uint32_t kInstanceFlags = OSP_INST_CONCURRENT;
    explicit Door(const osp_create_args& args) : Auth(args), common(args) {}
    void Start() override { common.OnStart(); }
    void Stop() override { common.OnStop(); }
    void Authenticate(const osp_auth_req& request, osp::Completion&& done) override {
        common.OnCall();
        const std::string_view text = osp::View(request.credential);
        if (Is("call.answers") && text == "Check.right") return Lose(std::move(done));
        if (Is("call.side-by-side") && !Alone()) return Lose(std::move(done));
        if (Is("call.returns")) usleep(40'000);
        if (LetsInWrongly(request, text)) return Decide(done, OSP_AUTH_ALLOW);
        if (Is("auth.decision") && text == "not-a-credential") return Decide(done, 9);
        if (osp::View(request.scheme) != "bearer") return Decide(done, OSP_AUTH_ABSTAIN);
        if (Is("auth.genuine")) return Decide(done, OSP_AUTH_DENY);
        const size_t dot = text.find('.');
        const auto* service = host.Service<osp_host_credential_v1>(OSP_HOST_CREDENTIAL);
        if (dot == std::string_view::npos || text.size() > 100 || service == nullptr)
            return Decide(done, OSP_AUTH_DENY);
        std::string secret(text.substr(dot + 1));
        if (Is("auth.near-miss")) secret = secret.substr(0, 5);
        auto lookup = std::make_unique<Lookup>(Lookup{host, std::move(secret), std::move(done)});
        service->find(
            host.raw(), osp::Str(text.substr(0, dot)), request.deadline, Found, lookup.release()
        );
    }
    void Invalidate(std::string_view subject) override {
        if (Is("auth.invalidate") && subject.size() > 1000) Crash();
    }
    Common common;

private:
    /// Keeps it open for the rest of the process.
    static void Lose(osp::Completion&& done) { new osp::Completion(std::move(done)); }
    static bool Alone() {
        static std::atomic<int> inside{0};
        const bool alone = ++inside == 1;
        usleep(2000);
        --inside;
        return alone;
    }
    static bool LetsInWrongly(const osp_auth_req& request, std::string_view text) {
        if (Is("auth.empty") && text.empty()) return true;
        if (Is("auth.garbage") && !text.empty() && text[0] < 0) return true;
        if (Is("auth.huge") && text.size() > 1000) return true;
        if (Is("auth.unsigned") && text.substr(0, 16) == "eyJhbGciOiJub25l") return true;
        return Is("auth.schemes") && osp::View(request.scheme) == "basic";
    }
};

osp_status Drain(osp_inst* inst, osp_token done, osp_time deadline) noexcept {
    return osp::Entry<Door>::Self(inst).common.OnDrain(
        done, osp::Entry<Door>::Drain(inst, done, deadline)
    );
}

}  // namespace

osp_kind AuthKind() {
    static osp_instance_vt instance;
    instance = Changed(osp::Entry<Door>::kInstance);
    instance.drain = Drain;
    return {sizeof(osp_kind), 0,         OSP_KIND_AUTH,
            "defect_auth",    &instance, &osp::AuthEntry<Door>::kTable,
            kSchema};
}

}  // namespace defect
