#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <opensend/plugin.hpp>

#include "kernel/base/text.h"
#include "kernel/json/value.h"
#include "kernel/plugin/check/host/check_host.h"
#include "kernel/plugin/check/host/services.h"
#include "kernel/plugin/check/host/smtp_peer.h"
#include "kernel/plugin/check/target.h"
#include "kernel/plugin/check/verdict.h"

namespace opensend::plugin_check {

/// A kind of the loaded plugin with its tables imported; only that of its interface is filled.
struct Kind {
    std::string iface, name, schema;
    osp_instance_vt life{};
    osp_transport_v1 transport{};
    osp_auth_v1 auth{};
    osp_ratelimit_v1 ratelimit{};
    osp_inbound_v1 inbound{};
};

/// Text with a value nobody else has, given out as every secret.
inline constexpr std::string_view kCanary = "canary-7f3a91c2-secret";

/// What a check has at hand: the plugin, a host and its services. One per check.
class Trial {
public:
    Trial(const Target& file, std::string kind_label, uint64_t random_seed);
    ~Trial();
    Trial(const Trial&) = delete;
    Trial& operator=(const Trial&) = delete;

    /// Loads on first use. Failed when that does not work.
    const osp_plugin* plugin();
    void* handle();
    /// Closes the file again; nothing of the plugin may be in use any more.
    void Close();
    const Kind& kind();
    /// A configuration that create should take: the manifest's member check.<kind>.config, or what
    /// the schema requires. Starts the SMTP peer when it is mentioned.
    std::string config();
    /// A text below check.<kind> of the manifest with its place marks filled in.
    std::optional<std::string> Sample(std::string_view member);
    json::Value SampleValue(std::string_view member) const;
    std::string Fill(std::string text);
    /// Null when the configuration mentions no peer.
    SmtpPeer* peer() { return peer_.get(); }

    const Target& target;
    const std::string label;
    CheckHost host;
    Services services{host};
    std::mt19937_64 random;
    std::function<void()> before_call, after_call;  // right around a call into the plugin
    bool by_submit = false;      // mails go through submit where there is send as well
    bool revokes_views = false;  // pages of a request vanish when its token is completed
    size_t stride_extra = 0;     // arrays are further apart than their structs are long
    uint32_t request_extra = 0;  // requests claim to be longer than their structs

private:
    void ReadKind(const osp_kind* source);

    std::optional<json::Document> manifest_;
    void* handle_ = nullptr;
    const osp_plugin* plugin_ = nullptr;
    std::optional<Kind> kind_;
    std::unique_ptr<SmtpPeer> peer_;
};

/// An osp_error with bytes behind it that must stay.
struct GuardedError {
    osp_error error{};
    unsigned char guard[64];
    GuardedError();
    bool IntactBehind() const;
    std::string text() const {
        return {error.msg, std::min<size_t>(error.msg_len, sizeof error.msg)};
    }
};

/// An instance; stopped and destroyed at the end. `Started` fails the check when it does not come
/// up.
class Life {
public:
    Life(Trial& trial, const std::string& config);
    ~Life() { End(); }
    Life(const Life&) = delete;
    Life& operator=(const Life&) = delete;

    static std::unique_ptr<Life> Started(Trial& trial);
    osp_status Start();
    void Stop();
    void End();
    osp_inst* inst() const { return inst_; }
    osp_status status() const { return status_; }
    const GuardedError& error() const { return error_; }

private:
    const Kind& kind_;
    osp_inst* inst_ = nullptr;
    osp_status status_ = OSP_OK;
    bool started_ = false;
    GuardedError error_;
};

/// One row of a family. `iface` is "" for the plugin as a whole, "*" for every kind.
struct Check {
    const char* id;
    const char* iface;
    const char* sentence;
    const char* hint;
    void (*run)(Trial&);
};

/// The families in the order in which they run: the first two read the file, the others run it.
std::vector<std::span<const Check>> StaticFamilies();
std::vector<std::span<const Check>> DynamicFamilies();

std::span<const Check> NoteChecks();
std::span<const Check> ElfChecks();
std::span<const Check> LoadingChecks();
std::span<const Check> LifecycleChecks();
std::span<const Check> ConfigChecks();
std::span<const Check> CallChecks();
std::span<const Check> TransportChecks();
std::span<const Check> FaultChecks();
std::span<const Check> AuthChecks();
std::span<const Check> RateLimitChecks();
std::span<const Check> InboundChecks();
std::span<const Check> HygieneChecks();

}  // namespace opensend::plugin_check
