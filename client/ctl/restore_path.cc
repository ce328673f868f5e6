// SPDX-License-Identifier: MIT
#include "client/ctl/restore_path.h"

#include <algorithm>
#include <span>
#include <vector>

namespace redoubt::ctl {
namespace {

struct Normalised {
  bool absolute = false;
  size_t ups = 0;  // leading ".." that lead out of the data directory
  std::vector<std::string_view> components;
};

Status Refuse(std::string_view path, std::string_view why) {
  return InvalidArgument("recorded path \"" + std::string(path) + "\" " + std::string(why));
}

Result<Normalised> Normalise(std::string_view path) {
  if (path.find('\0') != std::string_view::npos) {
    return Refuse(path.substr(0, path.find('\0')), "holds a NUL byte");
  }
  Normalised out;
  out.absolute = path.starts_with('/');
  std::string_view last;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    begin = end + 1;
    last = part;
    if (part.empty() || part == ".") {
      continue;
    }
    if (part != "..") {
      out.components.push_back(part);
    } else if (!out.components.empty()) {
      out.components.pop_back();
    } else if (!out.absolute) {
      ++out.ups;
    }
  }
  if (last.empty() || last == "." || last == ".." || out.components.empty()) {
    return Refuse(path, "names no file");
  }
  return out;
}

std::string Join(std::span<const std::string_view> components) {
  std::string path;
  for (const std::string_view part : components) {
    path += path.empty() ? "" : "/";
    path += part;
  }
  return path;
}

}  // namespace

Result<std::string> PlaceTablespace(std::string_view recorded_path, SpaceKind kind) {
  REDOUBT_ASSIGN_OR_RETURN(const Normalised path, Normalise(recorded_path));
  const std::span<const std::string_view> components(path.components);
  if (!path.absolute && path.ups == 0) {
    return Join(components);
  }
  const size_t kept = kind == SpaceKind::kTable ? 2 : 1;
  return Join(components.last(std::min(kept, components.size())));
}

bool LiesOutside(std::string_view recorded_path) {
  const Result<Normalised> path = Normalise(recorded_path);
  return path.ok() && (path->absolute || path->ups > 0);
}

Result<std::string> PlaceSideFile(std::string_view recorded_path) {
  REDOUBT_ASSIGN_OR_RETURN(const Normalised path, Normalise(recorded_path));
  if (path.absolute || path.ups > 0) {
    return Refuse(recorded_path, "lies outside the data directory");
  }
  return Join(path.components);
}

}  // namespace redoubt::ctl
