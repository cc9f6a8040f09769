#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include "kernel/app/storage.h"
#include "kernel/base/encoding.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/cli/commands.h"
#include "kernel/db/transaction.h"
#include "kernel/dns/resolver.h"
#include "kernel/egress/client.h"
#include "kernel/egress/url.h"
#include "kernel/json/value.h"
#include "kernel/json/writer.h"
#include "kernel/resources/emails/email_explain.h"

namespace opensend::cli {
namespace {

struct SendFlags {
    std::string from, subject, text, html, text_file, html_file;
    std::string endpoint = "http://127.0.0.1:3015";
    std::vector<std::string> to, attach;
};

std::string ReadFile(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw base::Error(base::ErrorCode::kValidation, base::Cat(path, ": cannot be read"));
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

std::string SendBody(const SendFlags& flags) {
    json::Writer body;
    body.BeginObject()
        .Field("from", flags.from)
        .Field("to", flags.to)
        .Field("subject", flags.subject);
    const std::string text = flags.text_file.empty() ? flags.text : ReadFile(flags.text_file);
    const std::string html = flags.html_file.empty() ? flags.html : ReadFile(flags.html_file);
    if (!text.empty()) body.Field("text", text);
    if (!html.empty()) body.Field("html", html);
    if (!flags.attach.empty()) {
        body.Key("attachments").BeginArray();
        for (const std::string& path : flags.attach) {
            body.BeginObject().Field("filename", path.substr(path.rfind('/') + 1));
            body.Field("content", base::Base64Encode(ReadFile(path))).EndObject();
        }
        body.EndArray();
    }
    body.EndObject();
    return body.Take();
}

/// Addresses of the host of an operator's own URL; the client connects to nothing else. Throws
/// kUnavailable when the name has none.
std::vector<base::IpAddress> AddressesOf(const std::string& url) {
    const auto parsed = egress::ParseUrl(url);
    if (!parsed.ok()) throw base::Invalid("url", "must be an http or https URL.");
    if (parsed->literal) return {*parsed->literal};
    base::SystemClock clock;
    dns::Resolver resolver({}, clock);
    const auto found = resolver.ResolveAll(parsed->host);
    if (!found || found->empty()) throw base::Unavailable("dns_failed", parsed->host);
    return *found;
}

int Send(const SendFlags& flags) {
    const auto environment = runtime::ReadEnvironment();
    const auto key = environment.find("OPENSEND_API_KEY");
    if (key == environment.end()) {
        std::cerr << "opensend: OPENSEND_API_KEY is not set\n";
        return kPrecondition;
    }
    egress::FetchRequest request;
    request.url = flags.endpoint + "/emails";
    request.headers.Add("Authorization", "Bearer " + key->second);
    request.headers.Add("Content-Type", "application/json");
    request.body = SendBody(flags);
    request.pinned = AddressesOf(request.url);
    request.deadline = std::chrono::seconds(60);
    egress::Client client(egress::Client::Options{});
    const egress::FetchResult result = client.Fetch(std::move(request));
    if (result.failure != egress::ClientFailure::kNone) {
        std::cerr << "opensend: " << flags.endpoint << ": " << egress::ToText(result.failure)
                  << '\n';
        return kServiceUnavailable;
    }
    const auto answer = json::Document::Parse(result.body);
    if (result.status != 200 || !answer.ok()) {
        std::cerr << "opensend: " << result.status << ' ' << result.body << '\n';
        return kFailure;
    }
    std::cout << answer->root().Find("id").AsString() << '\n';
    return kSuccess;
}

int Explain(const Global& global, const std::string& id_text) {
    const auto config = LoadConfig(global, {});
    if (!config) return kConfigRefused;
    const auto id = model::EmailId::Parse(id_text);
    if (!id) throw base::Invalid("EMAIL_ID", "must be a UUID.");
    const auto pool = app::OpenDatabase(*config);
    db::Reader reader(*pool, db::Scope::AllTenants());
    std::cout << emails::ExplainAsText(reader, *id);
    return kSuccess;
}

int Health(const std::string& url, bool ready) {
    egress::FetchRequest request;
    request.method = "GET";
    request.url = url + (ready ? "/ready" : "/health");
    request.pinned = AddressesOf(request.url);
    request.deadline = std::chrono::seconds(5);
    egress::Client client(egress::Client::Options{});
    const egress::FetchResult result = client.Fetch(std::move(request));
    std::cout << result.body << '\n';
    return result.status == 200 ? kSuccess : kServiceUnavailable;
}

}  // namespace

void AddMailCommands(CLI::App& app, Global& global, Run& run) {
    static SendFlags flags;
    auto* send = app.add_subcommand("send", "Send a message through the API; prints its id");
    send->add_option("--from", flags.from, "Sender")->required();
    send->add_option("--to", flags.to, "Recipients")->required();
    send->add_option("--subject", flags.subject, "Subject")->required();
    send->add_option("--text", flags.text, "Plain text");
    send->add_option("--html", flags.html, "HTML");
    send->add_option("--text-file", flags.text_file, "File with plain text");
    send->add_option("--html-file", flags.html_file, "File with HTML");
    send->add_option("--attach", flags.attach, "Files to attach");
    send->add_option("--endpoint", flags.endpoint, "URL of the API");
    send->callback([&] { run = [] { return Send(flags); }; });

    static std::string id;
    auto* explain = app.add_subcommand("explain", "Where a message is and why");
    explain->add_option("email_id", id, "Id of the message")->required();
    explain->callback([&] { run = [&] { return Explain(global, id); }; });

    static std::string url = "http://127.0.0.1:3015";
    static bool ready = false;
    auto* health = app.add_subcommand("health", "Ask a server how it is");
    health->add_option("--url", url, "URL of the server");
    health->add_flag("--ready", ready, "Ask /ready instead of /health");
    health->callback([&] { run = [] { return Health(url, ready); }; });
}

}  // namespace opensend::cli
