#pragma once

#include <memory>

#include "kernel/access/access_control.h"
#include "kernel/access/idempotency.h"
#include "kernel/access/key_directory.h"
#include "kernel/access/rate_gate.h"
#include "kernel/access/rate_watch.h"
#include "kernel/app/storage.h"
#include "kernel/blob/fs_blob_store.h"
#include "kernel/dns/resolver.h"
#include "kernel/egress/client.h"
#include "kernel/egress/guard.h"
#include "kernel/events/sequenced_signal.h"
#include "kernel/model/breaker.h"
#include "kernel/plugin/host.h"
#include "kernel/plugin/kinds/answers.h"
#include "kernel/resources/domains/domain_store.h"
#include "kernel/resources/plugin_kv/kv_store.h"
#include "kernel/runtime/config.h"

namespace opensend::app {

/// What every role of a server process uses; the members are the dependency order.
struct Shared {
    /// Opens the database and loads the plugins. Throws base::Error.
    Shared(const runtime::Config& given, Storage::Migrations migrations);

    const runtime::Config& config;
    Storage storage;
    model::BreakerBoard breakers;
    plugin::AnswerBoard answers;
    access::KeyDirectory keys;
    domains::SenderRule senders;
    access::Idempotency idempotency;
    events::SequencedSignal sequenced;
    std::unique_ptr<blob::FsBlobStore> blobs;
    std::unique_ptr<dns::Resolver> resolver;
    std::unique_ptr<egress::Guard> guard;
    std::unique_ptr<egress::Client> http_client;
    std::unique_ptr<plugin_kv::DbKvStore> plugin_kv;
    std::unique_ptr<plugin::Host> plugins;
    std::unique_ptr<access::AccessControl> access;
    std::unique_ptr<access::RateGate> rates;
    std::unique_ptr<access::RateWatch> rate_watch;
};

}  // namespace opensend::app
