// Events of a provider that signs them: POST /events/json-events with the header
//   X-Signature: t=<seconds since 1970>,v1=<hex of HMAC-SHA-256 over "<t>.<body>">
// and the body {"id":"…","events":[{"type":"bounced","message_id":"…","recipient":"…","time":<ms>,
// "category":"recipient","detail":{…}}]}.
#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <opensend/json.hpp>

#include "opensend_manifest.h"

namespace {

constexpr size_t kMaxEvents = 1000, kMaxDetail = 16 * 1024;
constexpr int64_t kFreshSeconds = 300;

using Word = std::pair<std::string_view, int32_t>;
constexpr Word kTypes[] = {
    {"sent",       OSP_EV_SENT      },
    {"delivered",  OSP_EV_DELIVERED },
    {"bounced",    OSP_EV_BOUNCED   },
    {"delayed",    OSP_EV_DELAYED   },
    {"complained", OSP_EV_COMPLAINED},
    {"opened",     OSP_EV_OPENED    },
    {"clicked",    OSP_EV_CLICKED   },
};
constexpr Word kCategories[] = {
    {"recipient",      OSP_EC_RECIPIENT     },
    {"content",        OSP_EC_CONTENT       },
    {"reputation",     OSP_EC_REPUTATION    },
    {"infrastructure", OSP_EC_INFRASTRUCTURE},
};

template <size_t N>
int32_t ValueOf(const Word (&words)[N], std::string_view name) {
    for (const Word& word : words) {
        if (word.first == name) return word.second;
    }
    return 0;
}

std::string_view Header(const osp_http_req& request, std::string_view name) {
    for (uint32_t i = 0; i < request.n_headers; ++i) {
        const std::string_view key = osp::View(request.headers[i].key);
        const bool same = key.size() == name.size() &&
                          std::equal(key.begin(), key.end(), name.begin(), [](char a, char b) {
                              return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b;
                          });
        if (same) return osp::View(request.headers[i].value);
    }
    return {};
}

/// Lower-case hexadecimal HMAC-SHA-256.
std::string Mac(std::string_view key, std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
    unsigned int size = 0;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    if (HMAC(
            EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes, text.size(), mac.data(),
            &size
        ) == nullptr)
        throw osp::Error(OSP_E_INTERNAL, "no HMAC");
    std::string hex;
    for (unsigned int i = 0; i < size; ++i) {
        hex += "0123456789abcdef"[mac[i] >> 4];
        hex += "0123456789abcdef"[mac[i] & 15];
    }
    return hex;
}

bool IsGenuine(
    std::string_view header, std::string_view body, std::string_view key, int64_t now_s
) {
    if (header.substr(0, 2) != "t=") return false;
    const size_t comma = header.find(",v1=");
    if (comma == std::string_view::npos) return false;
    const std::string_view time = header.substr(2, comma - 2), mac = header.substr(comma + 4);
    int64_t then = 0;
    if (osp_json_int(osp::Str(time), &then) == 0 || then < 0 || now_s - then > kFreshSeconds ||
        then - now_s > kFreshSeconds)
        return false;
    const std::string expected = Mac(key, std::string(time).append(".").append(body));
    return mac.size() == expected.size() &&
           CRYPTO_memcmp(mac.data(), expected.data(), mac.size()) == 0;
}

/// What the provider reports, in words of the host. The events point into `texts`.
struct Delivery {
    std::string id;
    std::vector<std::array<std::string, 4>> texts;
    std::vector<osp_event> events;
};

std::string Need(const osp::Json& object, const char* name) {
    auto text = object[name].Text();
    if (!text || text->empty()) throw osp::Error(OSP_E_INVALID, std::string("no ") + name);
    return std::move(*text);
}

Delivery Read(std::string_view body, int64_t now_ms) {
    const osp::Json root = osp::Json::Parse(body);
    Delivery delivery;
    delivery.id = Need(root, "id");
    const auto items = root["events"].Items();
    if (items.empty() || items.size() > kMaxEvents)
        throw osp::Error(OSP_E_INVALID, "1 to 1000 events");
    delivery.texts.reserve(items.size());
    for (const osp::Json& item : items) {
        const std::string_view detail = item["detail"].raw();
        if (detail.size() > kMaxDetail) throw osp::Error(OSP_E_INVALID, "a detail is too long");
        delivery.texts.push_back(
            {delivery.id + "/" + std::to_string(delivery.events.size()), Need(item, "message_id"),
             item["recipient"].Text().value_or(""), std::string(detail)}
        );
        const auto& texts = delivery.texts.back();
        osp_event event{};
        event.size = sizeof event;
        event.type = ValueOf(kTypes, Need(item, "type"));
        if (event.type == 0) throw osp::Error(OSP_E_INVALID, "unknown type");
        event.category = ValueOf(kCategories, item["category"].Text().value_or(""));
        event.dedup_key = osp::Str(texts[0]);
        event.provider_message_id = osp::Str(texts[1]);
        event.rcpt = osp::Str(texts[2]);
        event.json = osp::Str(texts[3]);
        event.unix_ms = item["time"].Int().value_or(now_ms);
        delivery.events.push_back(event);
    }
    return delivery;
}

void Answer(osp::Completion& done, int32_t status) {
    osp_http_res response{};
    response.size = sizeof response;
    response.status = status;
    done.Done(&response);
}

class JsonEvents final : public osp::Inbound {
public:
    explicit JsonEvents(const osp_create_args& args) : Inbound(args) {
        const auto reference = osp::Json::Config(args, {"key"})["key"].SecretRef();
        if (!reference) throw osp::Error(OSP_E_CONFIG, "key names a secret");
        key_ = host.Secret(*reference);
        if (key_.size() < 16 || key_.size() > 1024)
            throw osp::Error(OSP_E_CONFIG, "the key has 16 to 1024 bytes");
        events_ = host.Service<osp_host_event_v1>(OSP_HOST_EVENT);
        if (!OSP_HAS(osp_host_event_v1, events_, emit))
            throw osp::Error(OSP_E_DENIED, "events are not granted");
    }
    ~JsonEvents() override { OPENSSL_cleanse(key_.data(), key_.size()); }

    void Handle(const osp_http_req& request, osp::Completion&& done) override {
        const std::string_view body = osp::View(request.body);
        if (osp::View(request.method) != "POST") return Answer(done, 405);
        if (!IsGenuine(Header(request, "x-signature"), body, key_, host.UnixMs() / 1000))
            return Answer(done, 401);
        Delivery delivery;
        try {
            delivery = Read(body, host.UnixMs());
        } catch (const osp::Error&) {
            return Answer(done, 400);
        }
        osp_event_batch batch{};
        batch.size = sizeof batch;
        batch.provider = osp::Str("json-events");
        batch.delivery_id = osp::Str(delivery.id);
        batch.events = delivery.events.data();
        batch.n = static_cast<uint32_t>(delivery.events.size());
        batch.stride = sizeof(osp_event);
        batch.deadline = request.deadline;
        batch.done = Stored;
        // Taken over: Stored frees it, perhaps before emit returns.
        auto* const waiting = new osp::Completion(std::move(done));
        batch.ctx = waiting;
        osp_error error{};
        error.size = sizeof error;
        if (events_->emit(host.raw(), &batch, &error) >= 0) return;
        const std::unique_ptr<osp::Completion> refused(waiting);
        Answer(*refused, 503);
    }

private:
    static void Stored(void* context, osp_status status, const osp_emit_res* result) noexcept {
        const std::unique_ptr<osp::Completion> done(static_cast<osp::Completion*>(context));
        const bool stored =
            status == OSP_OK && result != nullptr && result->verdict != OSP_EMIT_LATER;
        Answer(*done, stored ? 200 : 503);
    }

    std::string key_;
    const osp_host_event_v1* events_;
};

}  // namespace

OSP_PLUGIN_WITH_MANIFEST(
    OSP_MANIFEST_ID,
    OSP_MANIFEST_VERSION,
    OSP_MANIFEST_TEXT,
    osp::InboundKind<JsonEvents>("json-events", OSP_SCHEMA_TEXT)
)
