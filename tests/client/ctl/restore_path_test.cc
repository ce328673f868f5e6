// SPDX-License-Identifier: MIT
//
// Goal: no recorded path, however odd, places a file outside the restored directory. Method:
// examples, and random paths over an alphabet of the dangerous pieces.
#include "client/ctl/restore_path.h"

#include <gtest/gtest.h>

#include "common/base/hash.h"

namespace redoubt::ctl {
namespace {

TEST(RestorePath, TablespacesKeepTheirPlaceInTheDataDirectory) {
  EXPECT_EQ(*PlaceTablespace("./db/t.ibd", SpaceKind::kTable), "db/t.ibd");
  EXPECT_EQ(*PlaceTablespace("db/t.ibd", SpaceKind::kTable), "db/t.ibd");
  EXPECT_EQ(*PlaceTablespace(".//db/./x/../t#p#p0.ibd", SpaceKind::kTable), "db/t#p#p0.ibd");
  EXPECT_EQ(*PlaceTablespace("./ibdata1", SpaceKind::kTable), "ibdata1");
}

TEST(RestorePath, ExternalTablesMoveIntoTheirSchemasFolder) {
  EXPECT_EQ(*PlaceTablespace("/mnt/fast/db/t.ibd", SpaceKind::kTable), "db/t.ibd");
  EXPECT_EQ(*PlaceTablespace("../fast/db/t.ibd", SpaceKind::kTable), "db/t.ibd");
  EXPECT_EQ(*PlaceTablespace("a/../../../b/t.ibd", SpaceKind::kTable), "b/t.ibd");
  EXPECT_EQ(*PlaceTablespace("/../../etc/x.ibd", SpaceKind::kTable), "etc/x.ibd");
  EXPECT_EQ(*PlaceTablespace("/t.ibd", SpaceKind::kTable), "t.ibd");
}

TEST(RestorePath, ExternalSharedTablespacesMoveToTheTop) {
  EXPECT_EQ(*PlaceTablespace("/mnt/fast/gts.ibd", SpaceKind::kShared), "gts.ibd");
  EXPECT_EQ(*PlaceTablespace("../undo/undo_003", SpaceKind::kShared), "undo_003");
  EXPECT_EQ(*PlaceTablespace("./gts.ibd", SpaceKind::kShared), "gts.ibd");
}

TEST(RestorePath, TellsWhatLiesOutsideTheDataDirectory) {
  for (const std::string_view outside : {"/mnt/db/t.ibd", "../gts.ibd", "a/../../b/t.ibd"}) {
    EXPECT_TRUE(LiesOutside(outside)) << outside;
  }
  for (const std::string_view inside : {"./db/t.ibd", "db/t.ibd", "a/../gts.ibd", "..", ""}) {
    EXPECT_FALSE(LiesOutside(inside)) << inside;
  }
}

TEST(RestorePath, PathsThatNameNoFileAreRefused) {
  using namespace std::string_view_literals;
  for (const std::string_view path :
       {""sv, "."sv, "/"sv, "./"sv, ".."sv, "a/"sv, "a/."sv, "a/.."sv, "a\0b"sv}) {
    EXPECT_FALSE(PlaceTablespace(path, SpaceKind::kTable).ok()) << path;
    EXPECT_FALSE(PlaceSideFile(path).ok()) << path;
  }
}

TEST(RestorePath, SideFilesMustLieInTheDataDirectory) {
  EXPECT_EQ(*PlaceSideFile("auto.cnf"), "auto.cnf");
  EXPECT_EQ(*PlaceSideFile("./mysql/general_log.CSV"), "mysql/general_log.CSV");
  EXPECT_FALSE(PlaceSideFile("/etc/passwd").ok());
  EXPECT_FALSE(PlaceSideFile("../auto.cnf").ok());
  EXPECT_FALSE(PlaceSideFile("a/../../auto.cnf").ok());
}

TEST(RestorePath, NothingEverLeadsOut) {
  const std::string_view pieces[] = {"/", "..", ".", "a", "/", "../", "b/", "#x"};
  for (uint64_t seed = 0; seed < 20000; ++seed) {
    std::string path;
    for (uint64_t i = 0, random = HashMix(7, seed); i < random % 9; ++i) {
      path += pieces[HashMix(random, i) % std::size(pieces)];
    }
    for (const Result<std::string>& placed :
         {PlaceTablespace(path, SpaceKind::kTable), PlaceTablespace(path, SpaceKind::kShared),
          PlaceSideFile(path)}) {
      if (!placed.ok()) {
        continue;
      }
      const std::string inside = "/" + *placed + "/";
      EXPECT_FALSE(placed->starts_with('/')) << path;
      EXPECT_EQ(inside.find("/../"), std::string::npos) << path;
      EXPECT_EQ(inside.find("/./"), std::string::npos) << path;
      EXPECT_EQ(inside.find("//"), std::string::npos) << path;
    }
  }
}

}  // namespace
}  // namespace redoubt::ctl
