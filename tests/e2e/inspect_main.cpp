#include <cstdio>

#include "kernel/plugin/host.h"

// Prints what Inspect says of the files named; 1 when one is refused.
int main(int argc, char** argv) {
    int status = 0;
    for (int i = 1; i < argc; ++i) {
        const auto report = opensend::plugin::Inspect(argv[i]);
        for (const auto& finding : report.findings) std::fprintf(stderr, "%s\n", finding.c_str());
        if (report.ok) std::printf("%s\n", report.manifest_json.c_str());
        if (!report.ok) status = 1;
    }
    return status;
}
