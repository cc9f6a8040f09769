// A plugin of four kinds that does everything right, but for the one thing that the environment
// variable OPENSEND_DEFECT names.
#pragma once

#include <string>
#include <string_view>

#include <opensend/plugin.hpp>

namespace defect {

/// True when that is what is to be done wrong.
bool Is(const char* name);

/// Ends the process as a wild pointer would.
[[noreturn]] void Crash();
/// Takes memory and forgets it.
void Leak(size_t n);

/// The configuration's secret, and what every kind does with it, its log and its services.
struct Common {
    explicit Common(const osp_create_args& args);
    ~Common();
    void OnStart();
    void OnStop();
    void OnCall();
    osp_status OnDrain(osp_token done, osp_status usual);

    osp::Host host;
    std::string secret;
    bool started = false;
    uint64_t calls = 0, timer = 0;
    void* thread = nullptr;
};

extern const char* const kSchema;
osp_kind TransportKind();
osp_kind AuthKind();
osp_kind RateKind();
osp_kind InboundKind();

/// The instance table of a class with the members of Common as `common`, changed as wanted.
osp_instance_vt Changed(osp_instance_vt table);

}  // namespace defect
