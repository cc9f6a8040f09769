#include "kernel/mime/filename.h"

#include <string>

#include <gtest/gtest.h>

#include "kernel/base/utf8.h"

namespace opensend::mime {
namespace {

TEST(Filename, DirectoryPartsAndControlsAreRemoved) {
    EXPECT_EQ(CleanFilename("report.pdf"), "report.pdf");
    EXPECT_EQ(CleanFilename("../../etc/passwd"), "passwd");
    EXPECT_EQ(CleanFilename("C:\\dir\\a.txt"), "a.txt");
    EXPECT_EQ(CleanFilename("a\r\nb\tc\x7f.txt"), "abc.txt");
    EXPECT_EQ(CleanFilename("a\xC2\x85\xE2\x80\xA9.txt"), "a.txt");
    EXPECT_EQ(CleanFilename("résumé \"x\".pdf"), "résumé \"x\".pdf");
    EXPECT_EQ(CleanFilename("a\xFF.pdf"), "a\xEF\xBF\xBD.pdf");
    EXPECT_EQ(CleanFilename("dir/"), "");
    EXPECT_EQ(CleanFilename(".."), "");
    EXPECT_EQ(CleanFilename(" \n"), "");
}

TEST(Filename, LongNamesKeepTheirExtension) {
    const std::string cut = CleanFilename(std::string(400, 'a') + ".pdf");
    EXPECT_EQ(cut, std::string(251, 'a') + ".pdf");
    std::string wide;
    for (int i = 0; i < 300; ++i) wide += "é";
    EXPECT_EQ(base::CountCodePoints(CleanFilename(wide)), 255u);
}

TEST(Filename, BlockedExtensionsAreFoundBehindDotsAndBlanks) {
    for (const char* name :
         {"a.exe", "a.EXE", "a.pdf.js", "a.exe.", "a.exe . .", "a.vsmacros", ".scr", "x.mshxml",
          "a.xnk", "a.adp"}) {
        EXPECT_TRUE(IsBlockedFilename(name)) << name;
    }
    for (const char* name : {"a.pdf", "exe", "a.exe.pdf", "", "...", "a.jsx", "a.zip"}) {
        EXPECT_FALSE(IsBlockedFilename(name)) << name;
    }
}

TEST(Filename, TypesFollowExtensionsAndBack) {
    EXPECT_EQ(TypeForFilename("A.PDF"), "application/pdf");
    EXPECT_EQ(TypeForFilename("a.tar.gz"), "application/gzip");
    EXPECT_EQ(TypeForFilename("a.unknown"), "application/octet-stream");
    EXPECT_EQ(TypeForFilename("noextension"), "application/octet-stream");
    EXPECT_EQ(ExtensionForType("image/jpeg"), "jpg");
    EXPECT_EQ(ExtensionForType("Text/Plain; charset=utf-8"), "txt");
    EXPECT_EQ(ExtensionForType("text/html"), "html");
    EXPECT_EQ(ExtensionForType("application/yaml"), "yaml");
    EXPECT_EQ(ExtensionForType("x/y"), "bin");
}

}  // namespace
}  // namespace opensend::mime
