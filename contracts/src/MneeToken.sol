// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// The token of the local chain: what MNEE does on mainnet, as far as a payment can notice it.
///
/// Lives behind `Proxy`, so state is set by `initialize` and never by a constructor. One `admin` holds every role;
/// mainnet asks for k-of-n signatures of minters, burners, pausers and freezers instead. Seizing mainnet tokens also
/// requires that the account was frozen or blacklisted before; here it does not. There is no permit and no transfer fee.
/// Balance and allowance failures carry the texts of OpenZeppelin 4, which mainnet is built on.
contract MneeToken {
    string public constant name = "MNEE USD Stablecoin";
    string public constant symbol = "MNEE";
    uint8 public constant decimals = 18;

    address public admin;
    bool public paused;
    uint256 public totalSupply;
    mapping(address account => uint256) public balanceOf;
    mapping(address owner => mapping(address spender => uint256)) public allowance;
    mapping(address account => bool) public blacklisted;
    mapping(address account => bool) public frozen;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);
    event TokensMinted(address indexed account, uint256 indexed amount);
    event TokensBurnt(uint256 indexed amount);
    event HoldingsBurnt(address indexed account, uint256 indexed amount);
    event FundsConfiscated(address indexed account, uint256 indexed amount, address indexed sentTo);
    event AccountFrozen(address indexed account);
    event AccountUnfrozen(address indexed account);
    event AccountBlacklisted(address indexed account);
    event AccountDelisted(address indexed account);
    event Paused(address account);
    event Unpaused(address account);

    error blacklistedAddress();
    error frozenAddress();
    error tokenPaused();
    error onlyAdmin();
    error zeroAddress();
    error alreadyInitialized();

    modifier byAdmin() {
        if (msg.sender != admin) revert onlyAdmin();
        _;
    }

    /// Locks the implementation itself: only storage behind a proxy can be initialised.
    constructor() {
        admin = address(0xdead);
    }

    function initialize(address firstAdmin) external {
        if (admin != address(0)) revert alreadyInitialized();
        if (firstAdmin == address(0)) revert zeroAddress();
        admin = firstAdmin;
    }

    // ERC-20

    function transfer(address to, uint256 amount) external returns (bool) {
        _transfer(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed != type(uint256).max) {
            require(allowed >= amount, "ERC20: insufficient allowance");
            _approve(from, msg.sender, allowed - amount);
        }
        _transfer(from, to, amount);
        return true;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        _approve(msg.sender, spender, amount);
        return true;
    }

    // Supply

    function mint(address to, uint256 amount) external byAdmin {
        _requireMayReceive(to);
        totalSupply += amount;
        balanceOf[to] += amount;
        emit Transfer(address(0), to, amount);
        emit TokensMinted(to, amount);
    }

    /// Burns the admin's own tokens; mainnet burns those of its redeemer.
    function burn(uint256 amount) external byAdmin {
        _requireMaySend(msg.sender);
        _burn(msg.sender, amount);
        emit TokensBurnt(amount);
    }

    // Control

    function pause() external byAdmin {
        require(!paused, "Pausable: paused");
        paused = true;
        emit Paused(msg.sender);
    }

    function unpause() external byAdmin {
        require(paused, "Pausable: not paused");
        paused = false;
        emit Unpaused(msg.sender);
    }

    function blacklist(address account) external byAdmin {
        blacklisted[account] = true;
        emit AccountBlacklisted(account);
    }

    function delist(address account) external byAdmin {
        blacklisted[account] = false;
        emit AccountDelisted(account);
    }

    function freeze(address account) external byAdmin {
        frozen[account] = true;
        emit AccountFrozen(account);
    }

    function unfreeze(address account) external byAdmin {
        frozen[account] = false;
        emit AccountUnfrozen(account);
    }

    /// Takes tokens from a frozen or blacklisted account too: that is what it is for.
    function confiscate(address victim, address to, uint256 amount) external byAdmin {
        _requireMayReceive(to);
        _move(victim, to, amount);
        emit FundsConfiscated(victim, amount, to);
    }

    function burnHoldings(address account) external byAdmin {
        uint256 amount = balanceOf[account];
        _burn(account, amount);
        emit HoldingsBurnt(account, amount);
    }

    /// Sends on what someone transferred to the token's own address by mistake.
    function rescue(address to, uint256 amount) external byAdmin {
        _transfer(address(this), to, amount);
    }

    // What every movement goes through. The order of the checks is mainnet's, and decides which error a caller sees.

    function _transfer(address from, address to, uint256 amount) private {
        _requireMaySend(from);
        _requireMayReceive(to);
        _move(from, to, amount);
    }

    function _requireMaySend(address from) private view {
        if (blacklisted[from]) revert blacklistedAddress();
        if (frozen[from]) revert frozenAddress();
    }

    function _requireMayReceive(address to) private view {
        require(to != address(0), "ERC20: transfer to the zero address");
        if (blacklisted[to]) revert blacklistedAddress();
        if (paused) revert tokenPaused();
    }

    function _move(address from, address to, uint256 amount) private {
        _debit(from, amount);
        balanceOf[to] += amount;
        emit Transfer(from, to, amount);
    }

    function _burn(address from, uint256 amount) private {
        if (paused) revert tokenPaused();
        _debit(from, amount);
        totalSupply -= amount;
        emit Transfer(from, address(0), amount);
    }

    function _debit(address from, uint256 amount) private {
        uint256 balance = balanceOf[from];
        require(balance >= amount, "ERC20: transfer amount exceeds balance");
        balanceOf[from] = balance - amount;
    }

    function _approve(address owner, address spender, uint256 amount) private {
        require(spender != address(0), "ERC20: approve to the zero address");
        allowance[owner][spender] = amount;
        emit Approval(owner, spender, amount);
    }
}
