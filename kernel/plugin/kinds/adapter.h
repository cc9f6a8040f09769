#pragma once

#include "kernel/plugin/instance.h"

namespace opensend::plugin {

/// What stands between an instance and the part of the kernel that uses it.
class Adapter {
public:
    virtual ~Adapter() = default;
    virtual Instance& instance() = 0;
    /// Asks whether the instance can do its work; success when it has no way to say.
    virtual Checked<bool> Probe(base::MonoTime) { return true; }
    /// Drain, then stop and destroy. False: a call did not come back by the deadline; the adapter
    /// must be kept for good.
    virtual bool Shutdown(base::MonoTime deadline) = 0;
};

/// Drains and stops an instance that is called by its users' own threads.
bool ShutDownInstance(Instance& instance, base::MonoTime deadline);

}  // namespace opensend::plugin
