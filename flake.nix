{
  description = "tallyho: a voting application made to be taken apart";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs = { self, nixpkgs }:
    let
      # Linux and macOS on both processors. nixpkgs 26.11 has no Intel Macs any more; they need an older one:
      # nix develop --override-input nixpkgs github:NixOS/nixpkgs/nixpkgs-26.05-darwin
      hasIntelMacs = builtins.compareVersions (nixpkgs.lib.trivial.release or "26.11") "26.11" < 0;
      systems = builtins.filter (system: nixpkgs.legacyPackages ? ${system})
        ([ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ] ++ nixpkgs.lib.optional hasIntelMacs "x86_64-darwin");
      each = make: nixpkgs.lib.genAttrs systems (system: make (nixpkgs.legacyPackages.${system} // {
        isLinux = builtins.match ".*-linux" system != null;
      }));

      # What `make up` needs, which installs the rest from local/requirements.txt.
      forRunning = pkgs: with pkgs; [ python313 postgresql_17 redis gnumake ];

      # What the other commands call. The client brings `docker compose`; the daemon is the machine's own.
      forDeveloping = pkgs: with pkgs; forRunning pkgs
        ++ [ uv tilt docker-client docker-compose git curl procps apacheHttpd ]
        ++ lib.optionals isLinux [ chromium ]; # on macOS the tests fetch one

      # How `make` finds Nix's Python and keeps it apart. The environment is not the one in .venv, which another Python
      # may have made; it is made again when the lock file brings another version.
      environment = pkgs: ''
        export VENV=.data/nix-venv PYTHON=${pkgs.python313}/bin/python3 UV_PYTHON_DOWNLOADS=never
        unset PYTHONPATH
      '' + pkgs.lib.optionalString pkgs.isLinux (wheels pkgs);

      # Wheels count on libraries and a loader in the places where other Linux systems have them: Locust and Playwright
      # need the C++ runtime, and Playwright brings a Node that may not start.
      wheels = pkgs: ''
        export PLAYWRIGHT_NODEJS_PATH=${pkgs.nodejs}/bin/node
        export LD_LIBRARY_PATH=${pkgs.stdenv.cc.cc.lib or pkgs.stdenv}/lib''${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
      '';

      # nixpkgs' own packages stand in for requirements-dev.txt in the checks, because a build has no network.
      forTesting = pkgs: pkgs.python313.withPackages (packages: with packages; [
        asyncpg cryptography flask-swagger-ui h11 httpx hypercorn hypothesis itsdangerous msgspec prometheus-client psutil pydantic
        pydantic-core pytest pytest-asyncio pytest-timeout python-dotenv pyyaml quart quart-schema redis structlog trustme
        uvloop watchfiles werkzeug wsproto
      ]);
    in
    {
      # nix develop; says what to type, unless it runs a command or direnv asks
      devShells = each (pkgs: {
        default = pkgs.mkShellNoCC {
          name = "tallyho";
          packages = forDeveloping pkgs;
          shellHook = environment pkgs + ''
            case $- in *i*) cat <<'HELP' ;; esac
            make up      runs everything: vote at http://localhost:5000, watch at http://localhost:5001
            tilt up      the same in containers, with a page of buttons; tilt up -- --local needs no Docker
            make test    runs all tests; plain make lists every command
            HELP
          '';
        };
      });

      # nix run; nix run . -- VOTE_PORT=5010 sets it up elsewhere. The code is the checkout's own, not the store's copy:
      # an edit starts services again, and .data/ lies in the checkout.
      apps = each (pkgs: {
        default = {
          type = "app";
          program = pkgs.lib.getExe (pkgs.writeShellApplication {
            name = "tallyho";
            runtimeInputs = forRunning pkgs;
            text = ''
              start=$PWD
              until [ -f flake.nix ] && [ -f local/up.py ]; do
                if [ "$PWD" = / ]; then
                  echo "there is no tallyho in $start: clone it, and type nix run in its folder" >&2
                  exit 1
                fi
                cd ..
              done
              ${environment pkgs}
              exec make up "$@"
            '';
          });
        };
      });

      # nix flake check. `make check` looks at the types as well, for which nixpkgs has no asyncpg-stubs.
      checks = each (pkgs: {
        lint = pkgs.runCommand "tallyho-lint" { nativeBuildInputs = [ pkgs.ruff ]; } ''
          cd ${self}
          ruff check --no-cache
          ruff format --check --no-cache
          touch $out
        '';

        # Other versions than requirements-dev.txt has: what they deprecate is no failure here.
        unit = pkgs.runCommand "tallyho-unit" {
          nativeBuildInputs = [ (forTesting pkgs) ];
          __darwinAllowLocalNetworking = true;
        } ''
          cp -r ${self} tallyho
          chmod -R u+w tallyho
          cd tallyho
          python3 -m pytest --override-ini filterwarnings=default tests/unit tests/repository
          touch $out
        '';
      });
    };
}
