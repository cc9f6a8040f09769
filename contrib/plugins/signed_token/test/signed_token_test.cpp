#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <opensend/testing_calls.hpp>

using namespace osp::testing;

namespace {

const std::string kKey(32, 'k');

std::string Sign(const std::string& text, const std::string& key = kKey) {
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    HMAC(
        EVP_sha256(), key.data(), static_cast<int>(key.size()),
        reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size
    );
    std::string out = text + ".";
    char two[3];
    for (unsigned int i = 0; i < size; ++i) {
        std::snprintf(two, sizeof two, "%02x", mac[i]);
        out += two;
    }
    return out;
}

}  // namespace

int main(int, char** argv) {
    Checks checks;
    const Plugin plugin(argv[1], "signed-token");
    FakeHost host;
    host.secrets["secret:key"] = kKey;
    const std::string config = R"({"key":{"$secret":"secret:key"}})";
    const std::string later = std::to_string(host.unix_ms / 1000 + 60),
                      before = std::to_string(host.unix_ms / 1000);
    {
        const Running running(plugin, host, config);
        if (!checks.That(running.status() == OSP_OK, "it starts: " + running.error()))
            return checks.Result();
        const auto ask = [&](const std::string& token) {
            return Authenticate(plugin, running, host, {token});
        };
        const std::string good = Sign("st.shop.org_1.sending_access." + later);
        const Answer answer = ask(good);
        checks.That(
            answer.decision == OSP_AUTH_ALLOW && answer.subject == "signed-token:shop" &&
                answer.tenant == "org_1" &&
                answer.scopes == std::vector<std::string>{"sending_access"},
            "a signed token lets in as what it says"
        );
        const Answer old = ask(Sign("st.shop.org_1.sending_access." + before));
        checks.That(
            old.decision == OSP_AUTH_DENY && old.reason == "expired", "an expired one is told so"
        );
        std::string changed = good;
        changed.replace(changed.find("sending"), 7, "reading");
        for (const std::string& bad :
             {changed, good.substr(0, good.size() - 1), good + "0", std::string("st."),
              "st.a.b.c.d." + std::string(64, '0'),
              Sign("st.shop.org_1.sending_access." + later, std::string(32, 'x')),
              Sign("st.shop.org_1.everything." + later), Sign("st..org_1.full_access." + later),
              Sign("st.shop.org_1.full_access.never"), Sign("st.shop.org_1." + later),
              "st." + std::string(10'000, 'x')}) {
            const Answer refused = ask(bad);
            checks.That(
                refused.decision == OSP_AUTH_DENY && refused.reason == "invalid",
                "refused: " + bad.substr(0, 80)
            );
        }
        for (const char* other : {"", "os_key", "ST.a"})
            checks.That(
                ask(other).decision == OSP_AUTH_ABSTAIN,
                "another kind of token is left to the next backend"
            );
    }
    checks.That(host.Audit().empty(), "each token is answered once: " + host.Audit());
    host.secrets["secret:key"] = "short";
    const Running weak(plugin, host, config);
    checks.That(weak.status() == OSP_E_CONFIG, "a short key is refused");
    return checks.Result();
}
