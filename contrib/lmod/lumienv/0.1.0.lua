-- lumienv, for Lmod. It may be copied for another version as it is: the version is the name of the file.
--
-- It finds lumienv from where it lies itself, as contrib/install.sh puts it:
--   PREFIX/modules/lumienv/VERSION.lua   this file
--   PREFIX/VERSION/bin/lumienv           what comes on PATH, and nothing else with it
-- Where module files lie elsewhere, write your folder here: local prefix = "/appl/local/lumienv"
local prefix = myFileName():match("^(.*)/[^/]+/[^/]+/[^/]+$")

local version = myModuleVersion()
local root = pathJoin(prefix, version)

help([[
Python environments on top of container images: declared in lumienv.toml, locked, and run.

  lumienv init          begin, in the folder of your project
  lumienv --help        all commands
  lumienv doctor        what on this machine gets in the way

No other module has to be loaded: lumienv binds what the site's profile names, and finds the runtime on PATH.
Modules that set SINGULARITY_BIND may stay loaded; lumienv does not take their binds over, and says so.
]])
whatis("Name: lumienv")
whatis("Version: " .. version)
whatis("Description: Declare, lock, materialise and run Python environments on top of container images")

if mode() == "load" and not isFile(pathJoin(root, "bin", "lumienv")) then
   LmodError("there is no lumienv ", version, " in ", root, ". To the administrator: `bash contrib/install.sh ",
             prefix, "`, or write the right folder into ", myFileName())
end

-- bin alone: the Python beside it is lumienv's own, and would hide the user's. For the same reason there is no
-- PYTHONPATH here: it would reach into containers.
prepend_path("PATH", pathJoin(root, "bin"))

-- The site's profile, where there is one. pushenv, so that what a user had set is back after an unload.
local site = pathJoin(prefix, "site.toml")
if isFile(site) then
   pushenv("LUMIENV_SITE", site)
end
