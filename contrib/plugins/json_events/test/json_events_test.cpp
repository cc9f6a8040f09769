#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <opensend/testing_calls.hpp>
#include <opensend/testing_services.hpp>

using namespace osp::testing;

namespace {

const std::string kKey = "0123456789abcdef-key";

std::string Sign(int64_t time, const std::string& body, const std::string& key = kKey) {
    const std::string text = std::to_string(time) + "." + body;
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    HMAC(
        EVP_sha256(), key.data(), static_cast<int>(key.size()),
        reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size
    );
    std::string hex;
    char two[3];
    for (unsigned int i = 0; i < size; ++i) {
        std::snprintf(two, sizeof two, "%02x", mac[i]);
        hex += two;
    }
    return "t=" + std::to_string(time) + ",v1=" + hex;
}

}  // namespace

int main(int, char** argv) {
    Checks checks;
    const Plugin plugin(argv[1], "json-events");
    FakeHost host;
    Services services(host);
    host.secrets["secret:key"] = kKey;
    {
        const Running running(plugin, host, R"({"key":{"$secret":"secret:key"}})");
        if (!checks.That(running.status() == OSP_OK, "it starts: " + running.error()))
            return checks.Result();
        const int64_t now = host.unix_ms / 1000;
        const auto post = [&](const std::string& body, const std::string& signature) {
            HttpRequest request;
            request.body = body;
            request.headers = {
                {"X-Signature", signature}
            };
            return host.AnswerOf(Post(plugin, running, host, request)).http_status;
        };
        const std::string body =
            R"({"id":"d1","events":[{"type":"bounced","message_id":"m1","recipient":"b@x.example",)"
            R"("category":"recipient","detail":{"code":550}}]})";
        checks.That(post(body, Sign(now, body)) == 200, "a signed delivery is taken");
        checks.That(
            services.emits.size() == 1 && services.emits[0].events.size() == 1 &&
                services.emits[0].events[0].type == OSP_EV_BOUNCED &&
                services.emits[0].events[0].json == R"({"code":550})",
            "with its details"
        );
        checks.That(
            post(body, Sign(now, body)) == 200 && services.emits.size() == 2 &&
                services.emits[0].delivery_id == services.emits[1].delivery_id &&
                services.emits[0].events[0].dedup_key == services.emits[1].events[0].dedup_key,
            "the same again has the same keys"
        );
        const std::string good = Sign(now, body);
        for (const std::string& bad :
             {std::string(), std::string("t="), std::string("v1=aa"),
              good.substr(0, good.size() - 1), good + "0", Sign(now, body, "another-key-of-mine"),
              Sign(now - 301, body), Sign(now + 301, body), Sign(now, body + " "),
              "t=x" + good.substr(good.find(',')), std::string("t=-1,v1=00")})
            checks.That(post(body, bad) == 401, "refused: " + bad);
        for (const std::string bad :
             {"", "{}", "[]", R"({"id":"d","events":[]})", R"({"id":"d","events":[{"type":"x"}]})"})
            checks.That(post(bad, Sign(now, bad)) == 400, "signed, but no delivery: " + bad);
        checks.That(services.emits.size() == 2, "nothing else was told");
    }
    checks.That(host.Audit().empty(), "each token is answered once: " + host.Audit());
    host.secrets["secret:key"] = "short";
    const Running weak(plugin, host, R"({"key":{"$secret":"secret:key"}})");
    checks.That(weak.status() == OSP_E_CONFIG, "a short key is refused");
    return checks.Result();
}
